"""Train the default ladder on token sets of your own; print the losses, a fit, and seed noise.

    python benchmarks/train/ladder.py --sources code=DIR doc=DIR --target DIR --out DIR \
        --flops 3.4e12 --seeds 0 1 2 [--workers 1]

One mixture (uniform), four sizes, four token counts each. The fit is L = E + A N^-a + B D^-b by
least squares on log residuals over a grid of exponents: only to see how smooth the ladder is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time

import numpy as np
from scipy.optimize import nnls

from leadsman.engine import LocalEngine
from leadsman.runs import Mixture, Run
from leadsman.train.cost import branch_tokens, estimate_ladder_seconds
from leadsman.train.defaults import default_recipe, ladder_shapes
from leadsman.train.feed import data_id
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.tokens import TokenSet


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
    """Run the ladder, print one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", nargs="+", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--flops", type=float, default=3.4e12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    sources = dict(pair.split("=", 1) for pair in options.sources)
    sets = {name: TokenSet(path) for name, path in sources.items()}
    mixture, data = Mixture("uniform", dict.fromkeys(sets, 1.0)), data_id(sets)
    vocab_size = next(iter(sets.values())).manifest.vocab_size
    recipes = [
        default_recipe(shape, mixture, data, tokens, seed=seed)
        for seed in options.seeds
        for shape in ladder_shapes(vocab_size, 256)
        for tokens in branch_tokens(options.flops / shape.train_flops_per_token, 4)
    ]
    jobs = plan_trunks(
        recipes,
        sources=sources,
        held_out={"target": options.target},
        ledger=f"{options.out}/ledger",
        work=f"{options.out}/work",
    )
    began = time.perf_counter()
    runs = train_ladder(jobs, LocalEngine(options.workers))
    wall = time.perf_counter() - began
    table: dict[tuple[int, int], list[float]] = {}
    for run in runs:
        assert run.recipe is not None
        point = (run.recipe.shape.non_embedding_params, run.recipe.tokens)
        table.setdefault(point, []).append(round(run.losses["target"], 4))
    spreads = [np.std(losses, ddof=1) / np.mean(losses) for losses in table.values()]
    first = [run for run in runs if run.recipe and run.recipe.seed == options.seeds[0]]
    result = {
        "wall_seconds": round(wall),
        "estimated_seconds": round(estimate_ladder_seconds(jobs, workers=options.workers)),
        "fit_of_first_seed": fit(first),
        "relative_seed_noise": round(float(np.sqrt(np.mean(np.square(spreads)))), 5)
        if len(options.seeds) > 1
        else None,
        "losses": {f"{n} x {d}": losses for (n, d), losses in sorted(table.items())},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
