"""Which small run to make next: the expected fall of decision regret for its cost.

A run at x would show ``log f(x) + noise``. Over the joint draws of a belief, results at the
alternatives ``a`` and at x move together; regressing on what the run would show gives

    E[f(a) | seen] = mean(a) + slope(a) z,    slope = cov(f(a), seen) / sd(seen),  z ~ N(0, 1)
    value(x) = min_a mean(a) - E_z[min_a (mean(a) + slope(a) z)]

the knowledge gradient for correlated beliefs (Frazier, Powell and Dayanik 2009), exact for normal
draws. ``value`` is in the unit of the result; the best run has the most of it per cost. A set of
runs has one ``z`` a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from leadsman.plan.decision.space import Floats

NODES = 512


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
        return NextRuns(runs, True, f"expected regret {regret:.2g} is within tolerance", regret)
    if worth > 0 and not (worth * values > costs).any():
        return NextRuns(runs, True, "no run saves more than it costs", regret)
    if not (values > 1e-12).any():
        return NextRuns(runs, True, "no run could change the choice", regret)
    best = runs[0]
    why = f"the best run takes {best.value:.2g} of the expected regret of {regret:.2g}"
    return NextRuns(runs, False, why, regret)


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
    logs = logs - logs.mean(axis=0)
    means = at_alternatives.mean(axis=0)
    centred = at_alternatives - means
    shown = np.sqrt((logs**2).mean(axis=0) + np.asarray(noise) ** 2)
    slopes = (logs.T @ centred) / len(logs) / np.maximum(shown, 1e-300)[:, None]
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
