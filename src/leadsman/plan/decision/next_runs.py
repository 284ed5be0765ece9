"""Which small run to make next: the expected fall of decision regret for its cost.

A run at x would show ``log f(x) + noise``. Over the joint draws of a belief, results at the
alternatives ``a`` and at x move together; regressing on what the run would show gives

    E[f(a) | seen] = mean(a) + slope(a) z,    slope = cov(f(a), seen) / sd(seen),  z ~ N(0, 1)
    value(x) = min_a mean(a) - E_z[min_a (mean(a) + slope(a) z)]

the knowledge gradient for correlated beliefs (Frazier, Powell and Dayanik 2009), exact for normal
draws. ``value`` is in the unit of the result; the best run has the most of it per cost. A set of
runs has one ``z`` a run.

When to stop: compute spent on a small run could be spent on the real one instead, which makes the
result better by ``slope of the result in compute * cost``. A run is worth its cost if its value is
more than that; ``worth``, units of cost a unit of the result is worth at the real run, is one over
the slope (:func:`worth_of_result`). Single runs may say nothing that several say together, so sets
of growing size are asked too; and no set can be worth more than the whole expected regret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from leadsman.plan.decision.space import Floats

NODES = 512
NOTHING = 1e-12
MOST_TOGETHER = 16
"""Runs of the largest set that is asked for its value."""


@dataclass(frozen=True)
class NextRun:
    """A run worth considering.

    Attributes:
        row: of the table of candidates.
        value: expected fall of the chosen alternative's result, in its unit.
        cost: of the run.
        per_cost: ``value / cost``.
    """

    row: int
    value: float
    cost: float

    @property
    def per_cost(self) -> float:
        """Value for a unit of cost."""
        return self.value / self.cost


@dataclass(frozen=True)
class NextRuns:
    """Candidates by value for their cost, and whether to go on.

    Attributes:
        runs: best first.
        stop: no run is worth its cost.
        why: in a sentence.
        regret: expected regret of deciding now.
    """

    runs: tuple[NextRun, ...]
    stop: bool
    why: str
    regret: float


def next_runs(
    at_candidates: Floats,
    at_alternatives: Floats,
    costs: Floats,
    *,
    noise: float | Floats,
    worth: float = 0.0,
    tolerance: float = 0.0,
) -> NextRuns:
    """Rank runs by what they would save.

    Args:
        at_candidates: draws of the noise-free result of each candidate run, shape (worlds, m).
        at_alternatives: draws at what may be chosen in the end, shape (worlds, a).
        costs: of each candidate, shape (m,), any unit.
        noise: standard deviation of the log of a single run's result, or one a candidate.
        worth: units of cost that one unit of the result is worth; 0 where only regret counts.
        tolerance: expected regret below which the decision is safe, in the unit of the result.
    """
    regret = decision_regret(at_alternatives)
    values = values_of_runs(at_candidates, at_alternatives, noise=noise)
    order = np.argsort(-values / costs)
    runs = tuple(NextRun(int(k), float(values[k]), float(costs[k])) for k in order)
    if regret <= tolerance:
        why = f"deciding now is expected to lose {regret:.2g}, which is within the tolerance"
        return NextRuns(runs, True, why, regret)
    if worth > 0 and regret <= costs.min() / worth:
        why = (
            f"all that could be learned would save {regret:.2g}, and the compute of the cheapest "
            f"run more where it is spent on the real one"
        )
        return NextRuns(runs, True, why, regret)
    pays = values > (costs / worth if worth > 0 else NOTHING)
    if not pays.any():
        together = _set_that_pays(at_candidates, at_alternatives, costs, noise, worth)
        if together is None:
            why = "no run could change the choice"
            if worth > 0:
                why = "no run saves as much as its compute would, spent on the real one"
            return NextRuns(runs, True, why, regret)
        rows, value = together
        told = tuple(sorted(runs, key=lambda each: each.row not in rows))
        why = (
            f"{len(rows)} runs together are expected to save {value:.2g} of the {regret:.2g} that "
            f"deciding now may lose"
        )
        return NextRuns(told, False, why, regret)
    best = runs[0]
    why = (
        f"the best run is expected to save {best.value:.2g} of the {regret:.2g} that deciding now "
        f"may lose"
    )
    return NextRuns(runs, False, why, regret)


def worth_of_result(at_less: Floats, at_full: Floats, cost: float) -> float:
    """Units of cost that one unit of the result is worth at the real run.

    Args:
        at_less: draws of the best alternative with a part of the compute taken away, (worlds,).
        at_full: the same with all of it.
        cost: what was taken away.

    Returns:
        ``cost / (mean(at_less) - mean(at_full))``; infinite where more compute brings nothing.
    """
    gain = float(at_less.mean() - at_full.mean())
    return cost / gain if gain > 0 else float("inf")


def best_batch(
    at_candidates: Floats,
    at_alternatives: Floats,
    costs: Floats,
    *,
    noise: float | Floats,
    count: int,
    worth: float = 0.0,
) -> list[int]:
    """Rows of the best few runs to make at once: each is valued given that those before are made.

    What a run will show is taken out of all draws (a normal update of their covariance), so two
    runs that say the same are not both picked. Ends early where nothing is left to say, or where a
    run saves less than its cost (``worth`` as for :func:`next_runs`) and the first did not: idle
    workers cost nothing. Where the first does not pay, only several together may, and none is
    held back.
    """
    logs = np.log(at_candidates) - np.log(at_candidates).mean(axis=0)
    means = at_alternatives.mean(axis=0)
    rest = at_alternatives - means
    spread = np.broadcast_to(np.asarray(noise, dtype=np.float64), (logs.shape[1],))
    chosen: list[int] = []
    first_pays = False
    for _ in range(min(count, logs.shape[1])):
        values = _values(logs, rest, means, spread)
        values[chosen] = 0.0
        best = int(np.argmax(values / costs))
        pays = not worth or worth * values[best] > costs[best]
        if values[best] <= NOTHING or (first_pays and not pays):
            break
        first_pays = first_pays or (not chosen and pays)
        chosen.append(best)
        seen = logs[:, best]
        variance = float((seen**2).mean())
        # The Kalman gain on draws: with noise, part of what a run would show stays unknown.
        kept = 1 - np.sqrt(spread[best] ** 2 / (variance + spread[best] ** 2))
        rest = rest - np.outer(seen, kept * (seen @ rest) / (len(seen) * variance))
        logs = logs - np.outer(seen, kept * (seen @ logs) / (len(seen) * variance))
    return chosen


def _set_that_pays(
    at_candidates: Floats,
    at_alternatives: Floats,
    costs: Floats,
    noise: float | Floats,
    worth: float,
) -> tuple[set[int], float] | None:
    """The least set of cheap, telling runs that is worth its cost where no single run is."""
    logs = np.log(at_candidates) - np.log(at_candidates).mean(axis=0)
    rest = at_alternatives - at_alternatives.mean(axis=0)
    # How much of the alternatives' differences each run would explain, for its cost.
    best = int(at_alternatives.mean(axis=0).argmin())
    gaps = rest - rest[:, [best]]
    shown = (logs**2).mean(axis=0) + np.asarray(noise) ** 2
    told = ((logs.T @ gaps / len(logs)) ** 2).max(axis=1) / shown
    order = np.argsort(-told / costs)
    size = 2
    spread = float(np.median(np.asarray(noise)))
    while size <= min(MOST_TOGETHER, len(order)):
        rows = order[:size].tolist()
        value = value_of_set(at_candidates, at_alternatives, rows, noise=spread)
        cost = float(costs[rows].sum())
        if value > NOTHING and (worth * value > cost if worth > 0 else True):
            return set(rows), value
        size *= 2
    return None


def decision_regret(at_alternatives: Floats) -> float:
    """Expected regret of the alternative with the lowest mean: what knowing all would save."""
    best = float(at_alternatives.mean(axis=0).min())
    return best - float(at_alternatives.min(axis=1).mean())


def values_of_runs(
    at_candidates: Floats, at_alternatives: Floats, *, noise: float | Floats
) -> Floats:
    """Value of seeing each candidate alone, shape (m,); arguments as :func:`next_runs`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a = rng.standard_normal((4000, 1)) * [[0.02, 0.0]] + 1
    >>> seen = values_of_runs(a, a, noise=1e-9)     # the first settles the choice
    >>> bool(abs(seen[0] / (0.02 / np.sqrt(2 * np.pi)) - 1) < 0.05), bool(seen[1] < 1e-6)
    (True, True)
    """
    logs = np.log(at_candidates)
    means = at_alternatives.mean(axis=0)
    return _values(logs - logs.mean(axis=0), at_alternatives - means, means, np.asarray(noise))


def _values(logs: Floats, rest: Floats, means: Floats, noise: Floats) -> Floats:
    """Knowledge gradients, shape (m,), from centred draws."""
    shown = np.sqrt((logs**2).mean(axis=0) + noise**2)
    slopes = (logs.T @ rest) / len(logs) / np.maximum(shown, 1e-300)[:, None]
    nodes = norm.ppf((np.arange(NODES) + 0.5) / NODES)
    now = means.min()
    values = [now - float((means + nodes[:, None] * slope).min(axis=1).mean()) for slope in slopes]
    return np.asarray(np.maximum(values, 0.0))


def value_of_set(
    at_candidates: Floats,
    at_alternatives: Floats,
    rows: Sequence[int],
    *,
    noise: float,
    seed: int = 0,
) -> float:
    """Value of seeing several candidates together: single runs may say nothing that a set says."""
    logs = np.log(at_candidates[:, list(rows)])
    logs = logs - logs.mean(axis=0)
    means = at_alternatives.mean(axis=0)
    seen = logs.T @ logs / len(logs) + noise**2 * np.eye(len(rows))
    root = np.linalg.cholesky(seen)
    slopes = np.linalg.solve(root, logs.T @ (at_alternatives - means) / len(logs))
    z = np.random.default_rng([seed, 3]).standard_normal((4 * NODES, len(rows)))
    after = (means + z @ slopes).min(axis=1).mean()
    return max(float(means.min() - after), 0.0)
