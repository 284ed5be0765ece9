"""Soundings chosen one after another against a fixed grid, replayed on public tables.

    LEADSMAN_DATASETS=... python -m benchmarks.plan.next_runs > next_runs.json
    ... next_runs.py gadre/openlm olmo/pile     # cases whose name begins so

The pool is every run of a table below a tenth of the largest option's compute; options are the runs
above it, and the decision is the option of the lowest mean of the belief, as in replay.py. Both
ways begin with the cheapest runs that carry a law. The fixed grid goes on from cheap to dear until
the pool is exhausted, as a ladder does. The adaptive way asks ``next_runs`` for the run of most
value for its compute, a few at a time, each valued given those picked beside it, and stops when
no run is worth its compute at the real run. Reported: mean regret by share of the pool's compute,
the least share at which each is, and stays, as good as the whole pool, and where the adaptive way
stopped.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine
from benchmarks.plan.replay import ROOT, SEEN, WORLDS

from leadsman.errors import LeadsmanError
from leadsman.laws.backtest.tables import load_cases
from leadsman.plan.decision import BeliefOfRuns, Dimension, Space
from leadsman.plan.decision.next_runs import best_batch, next_runs, worth_of_result

FIRST = 6
ROUNDS = 10
FINE_ROUNDS = 20
LESS = 0.05
GADRE = ("openlm", "paloma_c4_en", "paloma_dolma_100_programing_languages")
LADDER = ("c4_en-validation", "dolma_books-validation", "dolma_stack-validation", "pile-validation")
"""Cases replayed: some of each set, chosen by name beforehand, since each takes minutes."""

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
SERVED = (0.0, 1e12)
SLACK = 1e-3
"""Regret counted as equal, in nats per token: the noise of a run."""


def tables() -> Iterator[tuple[str, pl.DataFrame, str | None]]:
    """Name, table and group of each decision."""
    by_loss: dict[str, list[pl.DataFrame]] = {}
    for case in load_cases(ROOT, only="gadre"):
        corpus, _, loss = case.name.partition("/")
        by_loss.setdefault(loss, []).append(
            case.runs.select(
                pl.col("params").cast(pl.Float64),
                pl.col("tokens").cast(pl.Float64),
                "loss",
                corpus=pl.lit(corpus),
            )
        )
    for case in load_cases(ROOT, only="olmo_ladder"):
        if case.name in LADDER:
            table = case.runs.with_columns(pl.col("params").cast(pl.Float64))
            yield f"olmo/{case.name}", table, None
    for loss, parts in by_loss.items():
        if loss not in GADRE:
            continue
        yield f"gadre/{loss}", pl.concat(parts), "corpus"


def replay(
    pool: pl.DataFrame, choices: list[pl.DataFrame], group: str | None, adaptive: bool
) -> list[tuple[float, float]]:
    """(share of the pool's compute, mean regret over choices) after each round."""
    cost = pool["train"].to_numpy()
    order = np.argsort(cost)
    keys = np.zeros(len(pool)) if group is None else pool[group].to_numpy()
    made = [k for key in dict.fromkeys(keys.tolist()) for k in order[keys[order] == key][:FIRST]]
    left = [k for k in order if k not in set(made)]
    path: list[tuple[float, float]] = []
    while True:
        belief = believe(pool[sorted(made)], pool, choices, group)
        if belief is not None:
            regrets = [regret(belief, options) for options in choices]
            path.append((float(cost[made].sum() / cost.sum()), float(np.mean(regrets))))
        if not left:
            return path
        step = max(1, len(pool) // (FINE_ROUNDS if adaptive else ROUNDS))
        if adaptive and belief is not None:
            at_runs, at_options = belief.draws(pool[left]), belief.draws(choices[0])
            found = next_runs(
                at_runs, at_options, cost[left], noise=belief.noise,
                worth=worth(belief, choices[0]),
            )  # fmt: skip
            if found.stop:
                return path
            rows = best_batch(at_runs, at_options, cost[left], noise=belief.noise, count=step)
            picked = [left[row] for row in rows or [each.row for each in found.runs[:step]]]
        else:
            picked = left[:step]
        made += picked
        left = [k for k in left if k not in set(picked)]


def believe(
    seen: pl.DataFrame, pool: pl.DataFrame, choices: list[pl.DataFrame], group: str | None
) -> Any:
    """The belief on what has been made, or ``None`` where no law fits yet."""
    everything = pl.concat([pool, *choices])
    space = {
        name: Dimension(
            low=float(everything[name].min()) * 0.99, high=float(everything[name].max()) * 1.01
        )
        for name in ("params", "tokens")
    }
    if group is not None:
        space[group] = Dimension(choices=tuple(sorted(everything[group].unique())))
    try:
        return BeliefOfRuns(seen, Space(space), y="loss", group=group, worlds=WORLDS, seed=0)
    except LeadsmanError:
        return None


def worth(belief: Any, options: pl.DataFrame) -> float:
    """FLOPs a nat is worth at the best option, as ``leadsman plan`` asks."""
    best = options[[int(belief.draws(options).mean(axis=0).argmin())]]
    less = belief.draws(best.with_columns(pl.col("tokens") * (1 - LESS)))
    return worth_of_result(less[:, 0], belief.draws(best)[:, 0], LESS * float(best["train"][0]))


def regret(belief: Any, options: pl.DataFrame) -> float:
    """What the option of the lowest mean loses."""
    loss = options["loss"].to_numpy()
    return float(loss[belief.draws(options).mean(axis=0).argmin()] - loss.min())


def reached(path: list[tuple[float, float]], target: float) -> float:
    """The least share from which on regret stays within the target."""
    share = float("inf")
    for spent, lost in reversed(path):
        if lost > target + SLACK:
            break
        share = spent
    return share


def at(path: list[tuple[float, float]], share: float) -> float:
    """Regret after spending at most a share (the first round's, if that costs more)."""
    within = [lost for spent, lost in path if spent <= share + 1e-9]
    return within[-1] if within else path[0][1]


def main(only: list[str]) -> None:
    """Replay all, or some; print JSON."""
    warnings.filterwarnings("ignore")
    rows = []
    start = time.perf_counter()
    for name, table, group in tables():
        if only and not name.startswith(tuple(only)):
            continue
        table = table.with_columns(train=6 * pl.col("params") * pl.col("tokens"))
        limit = SEEN * float(table["train"].max())
        pool, large = table.filter(pl.col("train") <= limit), table.filter(pl.col("train") > limit)
        choices = []
        for served in SERVED:
            cost = (large["train"] + 2 * large["params"] * served).to_numpy()
            for budget in cost.max() / np.array([1.0, 3.0]):
                near = large.filter(pl.Series((cost <= budget * 1.000001) & (cost >= budget / 4)))
                if len(near) >= 3:
                    choices.append(near)
        if not choices:
            continue
        fixed = replay(pool, choices, group, adaptive=False)
        own = replay(pool, choices, group, adaptive=True)
        if not fixed or not own:
            continue
        target = fixed[-1][1]
        rows.append(
            {
                "name": name, "pool": len(pool), "decisions": len(choices),
                "regret_of_whole_pool": target,
                "fixed_share": reached(fixed, target), "adaptive_share": reached(own, target),
                "fixed": {str(share): at(fixed, share) for share in SHARES},
                "adaptive": {str(share): at(own, share) for share in SHARES},
                "adaptive_spent": own[-1][0], "adaptive_end": own[-1][1],
            }
        )  # fmt: skip
        shown = ("name", "regret_of_whole_pool", "fixed_share", "adaptive_share")
        print({key: rows[-1][key] for key in (*shown, "adaptive_spent", "adaptive_end")},
              file=sys.stderr)  # fmt: skip
    mean = {
        way: {
            str(share): float(np.mean([row[way][str(share)] for row in rows])) for share in SHARES
        }
        for way in ("fixed", "adaptive")
    }
    print(
        json.dumps(
            {
                "machine": machine("numpy", "scipy", "polars", "leadsman"), "seed": 0,
                "seconds": time.perf_counter() - start, "mean_regret_by_share": mean,
                "median_share": {
                    way: float(np.median([row[f"{way}_share"] for row in rows]))
                    for way in ("fixed", "adaptive")
                },
                "rows": rows,
            },
            indent=1,
        ).replace("Infinity", "null")
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
