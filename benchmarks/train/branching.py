"""A ladder of 5 sizes x 6 token counts: branched from 5 trunks, against 30 runs on their own.

    LEADSMAN_CORPORA=DIR python -m benchmarks.train.branching

Three ladders of the same sizes and token counts (k/6 of the largest, k = 1..6): branched; each
WSD run decayed separately; each run with its own cosine. Counted are training tokens; compared are
held-out losses. Tokens by halves share less: their ratio is printed too (arithmetic, no runs).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace

import numpy as np
from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora
from benchmarks.train.result import write_result

WIDTHS, COUNTS = (32, 40, 48, 56, 64), 6


def main() -> None:
    """Train the three ladders, print one JSON."""
    from leadsman.engine import LocalEngine
    from leadsman.runs import Recipe, Schedule
    from leadsman.train.defaults import WARMUP_TOKENS, shape_of_width
    from leadsman.train.ladder import plan_trunks, train_ladder
    from leadsman.train.ladder.job import trunk_tokens

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=245_760, help="the largest count")
    parser.add_argument("--data", default="/tmp/leadsman-train-data")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    corpora = Corpora(options.data)

    def ladder(counts: list[int]) -> list[Recipe]:
        shapes = [shape_of_width(width, vocab_size=2048, seq_len=256) for width in WIDTHS]
        return [corpora.recipe(shape, tokens) for shape in shapes for tokens in counts]

    counts = [options.tokens * k // COUNTS // 1024 * 1024 for k in range(1, COUNTS + 1)]
    recipes = ladder(counts)
    cosine = Schedule(name="cosine", warmup_tokens=WARMUP_TOKENS)
    engine, seconds = LocalEngine(options.workers), {}
    losses: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as out:

        def train(name: str, wanted: list[Recipe], *, alone: bool) -> list:
            places = {"ledger": f"{out}/{name}/ledger", "work": f"{out}/{name}/work"}
            groups = [[recipe] for recipe in wanted] if alone else [wanted]
            jobs = [
                job
                for group in groups
                for job in plan_trunks(
                    group,
                    sources=corpora.sources,
                    held_out=corpora.held_out,
                    compiled=True,
                    **places,
                )
            ]
            began = time.perf_counter()
            runs = {run.id: run for run in train_ladder(jobs, engine)}
            seconds[name] = round(time.perf_counter() - began, 1)
            losses[name] = np.array([runs[recipe.id].losses["target"] for recipe in wanted])
            return jobs

        jobs = train("branched", recipes, alone=False)
        train("separate", recipes, alone=True)
        train("cosine", [replace(recipe, schedule=cosine) for recipe in recipes], alone=True)
    alone = sum(recipe.trained_tokens for recipe in recipes)
    branched = sum(job.tokens for job in jobs)
    halves = ladder([8 * options.tokens // 2**k for k in range(COUNTS)])
    by_halves = sum(
        trunk_tokens(halves[start : start + COUNTS]) for start in range(0, len(halves), COUNTS)
    ) / sum(recipe.trained_tokens for recipe in halves)
    apart = losses["branched"] / losses["separate"] - 1
    against_cosine = losses["branched"] / losses["cosine"] - 1
    result = machine("torch", "leadsman") | {
        "widths": WIDTHS,
        "params": sorted({recipe.shape.params for recipe in recipes}),
        "token_counts": counts,
        "tokens": {"branched": branched, "30 runs": alone, "ratio": round(branched / alone, 4)},
        "ratio_if_counts_go_by_halves": round(by_halves, 4),
        "seconds": seconds,
        "largest_difference_to_separate_decays": float(np.abs(apart).max()),
        "against_cosine": {
            "mean": round(float(against_cosine.mean()), 5),
            "smallest": round(float(against_cosine.min()), 5),
            "largest": round(float(against_cosine.max()), 5),
        },
        "losses": {name: [round(float(x), 4) for x in values] for name, values in losses.items()},
    }
    write_result("branching", result)


if __name__ == "__main__":
    main()
