"""Seconds of a full plan over 10,000 joint draws and a six-dimensional space.

    python -m benchmarks.plan.full_plan > benchmarks/plan/results/full_plan.json

120 made runs vary size, data, learning rate, batch, selection rate and the share of one of two
sources; the plan learns the belief (laws, competition, calibration, settings), optimises under a
budget and an epoch limit, finds the Pareto front and regret in hindsight, ranks next runs. Timed in
a fresh process with warm numba caches, imports apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
from benchmarks.machine import machine

RUNS, SEED, REPEATS = 120, 0, 3
COMPUTE = 1e21


def truth(points):  # type: ignore[no-untyped-def]
    """The planted loss."""
    n, d = points["params"].to_numpy(), points["tokens"].to_numpy()
    bend = 0.01 * np.log(points["lr"].to_numpy() / 3e-3) ** 2
    bend += 0.004 * np.log(points["batch_tokens"].to_numpy() / 2**17) ** 2
    bend += 0.3 * (points["mix.code"].to_numpy() - 0.35) ** 2
    bend += 0.02 * np.log(points["keep"].to_numpy() / 0.3) ** 2
    return (1.7 + 400 / n**0.34 + 1200 / d**0.33) * np.exp(bend)


def once() -> dict[str, float]:
    """One plan; imports are not timed."""
    import polars as pl

    from leadsman.plan.table import TableSpec, plan_table, training_flops

    rng = np.random.default_rng(SEED)

    def between(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), RUNS))

    code = rng.uniform(0, 1, RUNS)
    runs = pl.DataFrame(
        {
            "params": between(1e6, 1e8), "tokens": between(2e7, 4e9), "keep": between(0.05, 1),
            "lr": between(5e-4, 2e-2), "batch_tokens": between(2**14, 2**20),
            "mix.code": code, "mix.web": 1 - code,
        }
    )  # fmt: skip
    noise = np.exp(0.003 * rng.standard_normal(RUNS))
    runs = runs.with_columns(loss=pl.Series(truth(runs) * noise))
    share = {"low": 0.01, "high": 1, "scale": "linear"}
    spec = TableSpec.model_validate(
        {
            "space": {
                "params": {"low": 1e7, "high": 1e10}, "tokens": {"low": 1e9, "high": 1e12},
                "keep": {"low": 0.05, "high": 1}, "lr": {"low": 5e-4, "high": 2e-2},
                "batch_tokens": {"low": 2**14, "high": 2**20},
                "mix.code": share, "mix.web": share,
            },
            "budget": {"flops": COMPUTE}, "unique_tokens": 5e11, "max_epochs": 4,
            "worlds": 10_000,
        }
    )  # fmt: skip
    start = time.perf_counter()
    plan = plan_table(runs, spec)
    seconds = time.perf_counter() - start
    point = pl.DataFrame([plan.decision.point])
    best = best_truth()
    return {
        "seconds": seconds,
        "true_loss_of_choice": float(truth(point)[0]),
        "true_loss_of_best": best,
        "flops": float(training_flops(point)[0]),
        "expected_regret": plan.decision.expected_regret,
        "worlds": len(plan.decision.draws),
    }


def best_truth() -> float:
    """The best true loss at the budget: settings at their optimum, size by a fine search."""
    sizes = np.geomspace(1e7, 1e10, 100_001)
    tokens = COMPUTE / (6 * sizes)
    keep = np.clip(np.maximum(tokens / (4 * 5e11), 0.3), 0.05, 1)
    scale = np.exp(0.02 * np.log(keep / 0.3) ** 2)
    return float(((1.7 + 400 / sizes**0.34 + 1200 / tokens**0.33) * scale).min())


def main() -> None:
    """Repeat in fresh processes; print JSON."""
    command = [sys.executable, "-m", "benchmarks.plan.full_plan", "--once"]
    found = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(REPEATS + 1)
    ][1:]  # the first fills numba's cache
    facts = machine("numpy", "scipy", "polars", "scikit-learn", "numba", "leadsman")
    print(json.dumps({"machine": facts, "seed": SEED, "plans": found}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:] == ["--once"]:
        print(json.dumps(once()))
    else:
        main()
