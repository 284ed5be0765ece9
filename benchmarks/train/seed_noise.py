"""Seed noise over the default ladder: 4 sizes x 4 token counts x 3 seeds, and a rough fit.

    LEADSMAN_CORPORA=DIR python -m benchmarks.train.seed_noise [--flops 1.5e12]

One mixture (uniform). The noise is the standard deviation over seeds as a share of the loss. The
fit is L = E + A N^-a + B D^-b by least squares on relative residuals over a grid of exponents:
only to see how smooth the ladder is.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time

import numpy as np
from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora
from benchmarks.train.result import write_result
from scipy.optimize import nnls

from leadsman.engine import LocalEngine
from leadsman.runs import Run
from leadsman.train.cost import estimate_ladder_seconds
from leadsman.train.defaults import ladder_shapes
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.ladder.design import branch_tokens

SEEDS = (0, 1, 2)
BRANCHES = 4


def fit(runs: list[Run]) -> dict[str, float]:
    """Best exponents on a grid, amplitudes by non-negative least squares; relative RMS error."""
    recipes = [run.recipe for run in runs if run.recipe]
    params = np.array([recipe.shape.non_embedding_params for recipe in recipes], dtype=float)
    tokens = np.array([recipe.tokens for recipe in recipes], dtype=float)
    losses = np.array([run.losses["target"] for run in runs])
    best: dict[str, float] = {"error": np.inf}
    for a, b in itertools.product(np.arange(0.05, 0.8, 0.01), repeat=2):
        design = np.stack([np.ones_like(params), params**-a, tokens**-b], axis=1)
        amplitudes, _ = nnls(design / losses[:, None], np.ones_like(losses))
        error = float(np.sqrt(np.mean((design @ amplitudes / losses - 1) ** 2)))
        if error < best["error"]:
            best = {"error": error, "a": float(a), "b": float(b), "E": float(amplitudes[0])}
    return {name: round(value, 5) for name, value in best.items()}


def main() -> None:
    """Run the ladder, write one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flops", type=float, default=1.5e12, help="of the longest run of a size")
    parser.add_argument("--data", default="/tmp/leadsman-train-data")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    corpora = Corpora(options.data)
    recipes = [
        corpora.recipe(shape, tokens, seed=seed)
        for seed in SEEDS
        for shape in ladder_shapes(2048, 256)
        for tokens in branch_tokens(options.flops / shape.train_flops_per_token, BRANCHES)
    ]
    with tempfile.TemporaryDirectory() as out:
        jobs = plan_trunks(
            recipes,
            sources=corpora.sources,
            held_out=corpora.held_out,
            ledger=f"{out}/ledger",
            work=f"{out}/work",
        )
        began = time.perf_counter()
        runs = train_ladder(jobs, LocalEngine(options.workers))
        wall = time.perf_counter() - began
    table: dict[tuple[int, int], list[float]] = {}
    for run in runs:
        assert run.recipe is not None
        point = (run.recipe.shape.non_embedding_params, run.recipe.tokens)
        table.setdefault(point, []).append(round(run.losses["target"], 4))
    spreads = {point: np.std(losses, ddof=1) / np.mean(losses) for point, losses in table.items()}
    result = machine("torch") | {
        "seeds": SEEDS,
        "flops": options.flops,
        "wall_seconds": round(wall),
        "estimated_seconds": round(estimate_ladder_seconds(jobs, workers=options.workers)),
        "relative_seed_noise": round(float(np.sqrt(np.mean(np.square(list(spreads.values()))))), 5),
        "noise_by_run": {f"{n} x {d}": round(float(s), 5) for (n, d), s in sorted(spreads.items())},
        "fit_of_first_seed": fit([run for run in runs if run.recipe and run.recipe.seed == 0]),
        "losses": {f"{n} x {d}": losses for (n, d), losses in sorted(table.items())},
    }
    write_result("seed_noise", result)


if __name__ == "__main__":
    main()
