"""Do short runs tell which learning rate and batch a run eight times as long wants?

    LEADSMAN_CORPORA=DIR python -m benchmarks.plan.rates_at_length

A ladder and the setting runs of a plan are made as `leadsman plan` makes them. What they say of the
effect of each rate and batch at eight times the length is held against runs of that length, in
three ways: the best value is carried as it is (``held``), it moves by the published powers of the
tokens (``published``, what a plan does), or that and every rate and batch was tried at an eighth of
the length of the setting runs, too (``branch``). Two seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora

from leadsman.engine import LocalEngine
from leadsman.plan.decision import effects
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.believe import belief_of_soundings
from leadsman.plan.settings.runs import setting_runs
from leadsman.plan.settings.vary import VarySpec
from leadsman.runs import Recipe, Run
from leadsman.train.defaults import shape_of_width
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.ladder.design import branch_tokens

SEEDS = (0, 1)
WIDTHS = (32, 48)
LONGEST = 1 << 18
BEYOND = 8
RATES = (0.003, 0.0045, 0.0085, 0.012)
BATCHES = (512, 2048)
TRIED = VarySpec(lr=(0.003, 0.012), batch_tokens=BATCHES, keep=(), added_share=0.0)
BRANCHED = 8
WAYS = ("held", "published", "branch")
Y = "bpb.target"
RESULT = Path(__file__).parent / "results/rates_at_length.json"


def train(recipes: Sequence[Recipe], corpora: Corpora, out: str, workers: int) -> list[Run]:
    """The runs, those of ``out`` that are done not again."""
    jobs = plan_trunks(
        recipes,
        sources=corpora.sources,
        held_out=corpora.held_out,
        ledger=f"{out}/ledger",
        work=f"{out}/work",
    )
    return train_ladder(jobs, LocalEngine(workers))


def one_seed(corpora: Corpora, seed: int, out: str, workers: int) -> list[dict[str, Any]]:
    """What was told of each setting and what the long runs gave."""
    ladder = [
        corpora.recipe(shape_of_width(width, vocab_size=2048, seq_len=256), tokens, seed=seed)
        for width in WIDTHS
        for tokens in branch_tokens(LONGEST, 4)
    ]
    final = replace(ladder[-1], tokens=BEYOND * ladder[-1].tokens)
    axes = Axes.of(TRIED, [final.mixture], [], final, keep=0.25)
    tried = list(setting_runs(axes, ladder, final, share=100).recipes.values())
    branches = [replace(each, tokens=each.tokens // BRANCHED) for each in tried]
    moved = [axes.moved(final, {"lr": each}) for each in RATES]
    moved += [axes.moved(final, {"batch_tokens": float(each)}) for each in BATCHES]
    runs = train([*ladder, *tried, *branches], corpora, out, workers)
    long = {run.id: run.row()[Y] for run in train([final, *moved], corpora, out, workers)}
    short = {each.id for each in branches}
    sizes = {"sets": {k: {"tokens": each.manifest.tokens} for k, each in corpora.sets.items()}}
    rows: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        table = axes.table([run for run in runs if way == "branch" or run.id not in short], Y)
        with mock.patch.dict(effects.DRIFT, clear=way == "held"):
            belief = belief_of_soundings(
                table, [final], axes.measured(table), sizes, y=Y, seed=seed
            )
        found = belief.effect(axes.points([final, *moved]))
        for place, recipe in enumerate(moved, start=1):
            low, middle, high = np.quantile(found[:, place] - found[:, 0], [0.1, 0.5, 0.9])
            row = rows.setdefault(
                recipe.id,
                {"seed": seed, **axes.departed(recipe)}
                | {"actual": float(np.log(long[recipe.id] / long[final.id]))},
            )
            row[way] = {"low": low, "median": middle, "high": high}
            row[way]["chance_better"] = float((found[:, place] < found[:, 0]).mean())
    return list(rows.values())


def summary(rows: Sequence[dict[str, Any]], way: str) -> dict[str, float]:
    """Error, width and cover of the 80 % intervals, in per cent of the result."""
    told = pl.DataFrame([row[way] for row in rows])
    actual = np.array([row["actual"] for row in rows])
    inside = (told["low"].to_numpy() <= actual) & (actual <= told["high"].to_numpy())
    return {
        "mean_absolute_error": float(100 * np.abs(told["median"].to_numpy() - actual).mean()),
        "mean_width": float(100 * (told["high"] - told["low"]).to_numpy().mean()),
        "inside_80": int(inside.sum()),
        "of": len(rows),
    }


def main() -> None:
    """Train, compare, write one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=f"{tempfile.gettempdir()}/leadsman-train-data")
    parser.add_argument("--out", default=f"{tempfile.gettempdir()}/leadsman-rates")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    corpora = Corpora(options.data)
    rows = [row for seed in SEEDS for row in one_seed(corpora, seed, options.out, options.workers)]
    result = machine("torch") | {
        "tokens": {"tried": LONGEST, "planned": BEYOND * LONGEST},
        "percent": {way: summary(rows, way) for way in WAYS},
        "log_effects": rows,
    }
    text = json.dumps(result, indent=1)
    RESULT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
