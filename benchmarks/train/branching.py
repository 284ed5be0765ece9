"""A ladder of 5 sizes x 6 token counts: branched from 5 trunks, against 30 runs on their own.

    LEADSMAN_CORPORA=DIR python -m benchmarks.train.branching

Three ladders of the same sizes and token counts (k/6 of the largest, k = 1..6): branched; each
WSD run decayed separately; each run with its own cosine. Counted are training tokens and seconds
of processor time in one process of one thread, sizes and ladders taking turns, each shape compiled
before; compared are held-out losses. Tokens by halves share less: their ratio is printed too
(arithmetic, no runs).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora
from benchmarks.train.result import write_result

from leadsman.engine import LocalEngine
from leadsman.runs import Recipe, Schedule
from leadsman.train.defaults import WARMUP_TOKENS, shape_of_width
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.ladder.job import trunk_tokens

WIDTHS, COUNTS = (32, 40, 48, 56, 64), 6
COSINE = Schedule(name="cosine", warmup_tokens=WARMUP_TOKENS)


class Bench:
    """Trains ladders of one size on the corpora; keeps their losses and seconds by name."""

    def __init__(self, corpora: Corpora, out: str) -> None:
        self.corpora, self.out = corpora, out
        self.losses: dict[str, list[float]] = {}
        self.seconds: dict[str, float] = {}

    def train(self, name: str, groups: Sequence[Sequence[Recipe]]) -> None:
        """Train groups one after another; recipes of a group may share a trunk."""
        began = time.process_time()
        runs = {}
        for group in groups:
            jobs = plan_trunks(
                group,
                sources=self.corpora.sources,
                held_out=self.corpora.held_out,
                ledger=f"{self.out}/{name}/ledger",
                work=f"{self.out}/{name}/work",
                compiled=True,
            )
            runs |= {run.id: run for run in train_ladder(jobs, LocalEngine(1))}
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began
        losses = [runs[recipe.id].losses["target"] for group in groups for recipe in group]
        self.losses.setdefault(name, []).extend(losses)

    def apart(self, name: str, other: str) -> np.ndarray:
        """Relative differences of the losses, run by run."""
        return np.array(self.losses[name]) / np.array(self.losses[other]) - 1


def ladder(corpora: Corpora, width: int, counts: Sequence[int]) -> list[Recipe]:
    """The runs of one size."""
    shape = shape_of_width(width, vocab_size=2048, seq_len=256)
    return [corpora.recipe(shape, tokens) for tokens in counts]


def share(ladders: Sequence[Sequence[Recipe]]) -> tuple[int, int]:
    """Tokens branched, and of each run alone."""
    alone = sum(recipe.trained_tokens for recipes in ladders for recipe in recipes)
    return sum(trunk_tokens(recipes) for recipes in ladders), alone


def main() -> None:
    """Train the three ladders, print one JSON."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokens", type=int, default=245_760, help="the largest count")
    parser.add_argument("--data", default="/tmp/leadsman-train-data")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpora = Corpora(options.data)
    counts = [options.tokens * k // COUNTS // 1024 * 1024 for k in range(1, COUNTS + 1)]
    ladders = [ladder(corpora, width, counts) for width in WIDTHS]
    with tempfile.TemporaryDirectory() as out:
        bench = Bench(corpora, out)
        for recipes in ladders:
            bench.train("compilation", [[replace(recipes[0], tokens=32_768, seed=1)]])
            bench.train("branched", [recipes])
            bench.train("separate", [[recipe] for recipe in recipes])
            bench.train("cosine", [[replace(recipe, schedule=COSINE)] for recipe in recipes])
            print({name: round(value) for name, value in bench.seconds.items()}, flush=True)
    branched, alone = share(ladders)
    halves = [8 * options.tokens // 2**k for k in range(COUNTS)]
    by_halves, halves_alone = share([ladder(corpora, width, halves) for width in WIDTHS])
    cosine = bench.apart("branched", "cosine")
    result = machine("torch", "leadsman") | {
        "widths": WIDTHS,
        "params": sorted({recipes[0].shape.params for recipes in ladders}),
        "token_counts": counts,
        "tokens": {"branched": branched, "30 runs": alone, "ratio": round(branched / alone, 4)},
        "ratio_if_counts_go_by_halves": round(by_halves / halves_alone, 4),
        "processor_seconds": {name: round(value, 1) for name, value in bench.seconds.items()},
        "largest_difference_to_separate_decays": float(
            np.abs(bench.apart("branched", "separate")).max()
        ),
        "against_cosine": {
            "mean": round(float(cosine.mean()), 5),
            "smallest": round(float(cosine.min()), 5),
            "largest": round(float(cosine.max()), 5),
        },
        "losses": {name: [round(x, 4) for x in values] for name, values in bench.losses.items()},
    }
    write_result("branching", result)


if __name__ == "__main__":
    main()
