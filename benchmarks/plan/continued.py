"""Which peak rate does continued training want, and is its result foreseen from shorter runs?

    python -m benchmarks.plan.continued [--out DIR]

A model of 332k parameters is trained on two million tokens of the standard library's code, then
continued on docstrings with re-warming at three peak rates and six lengths, branches of one trunk a
rate, as a plan with `starts` sounds it. Results are bits per byte on held-out docstrings. Then the
longest run of each rate is forecast from those of a quarter and of a half of its length and less.
One seed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from benchmarks.machine import machine

from leadsman.corpus.harvest import harvest_source
from leadsman.engine import LocalEngine
from leadsman.laws import forecast_runs
from leadsman.runs import Ledger
from leadsman.train.files import load_ladder_file, load_recipe_file
from leadsman.train.ladder import train_ladder

RATES = (0.006, 0.003, 0.0015)
LENGTHS = tuple(2**power for power in range(15, 21))
RESULT = Path(__file__).parent / "results/continued.json"
REWARMED = {
    "name": "wsd", "warmup_tokens": 16384, "start_lr_ratio": 0.1, "decay_fraction": 0.2,
    "final_lr_ratio": 0.0,
}  # fmt: skip


def sounded(out: Path) -> pl.DataFrame:
    """Tokens, rate and result of every continued run; those of ``out`` are not made again."""
    for name, most in (("stdlib-code", 6_000_000), ("docstrings", 6_000_000), ("target", 300_000)):
        if not (out / f"src/{name}.jsonl").exists():
            harvest_source(name, out / "src", seed=0, max_bytes=most)
    common = {"held_out": {"target": "src/target.jsonl"}}
    base = {"sources": {"code": "src/stdlib-code.jsonl"}, "out": "base", "tokens": 2_000_000}
    (out / "base.yaml").write_text(yaml.safe_dump(common | base | {"model": {"width": 96}}))
    (trained,) = train_ladder(load_recipe_file(out / "base.yaml").jobs, LocalEngine(1))
    series = {
        "sources": {"docs": "src/docstrings.jsonl"}, "out": "cont", "schedule": REWARMED,
        "tokenizer": {"path": "base/tokenizer.json"}, "start": f"base/models/{trained.id}",
        "widths": [96], "tokens": list(LENGTHS), "lrs": list(RATES),
    }  # fmt: skip
    (out / "cont.yaml").write_text(yaml.safe_dump(common | series))
    design = load_ladder_file(out / "cont.yaml")
    train_ladder(design.jobs, LocalEngine(1))
    runs = [Ledger(str(out / "cont/ledger")).get(recipe.id) for recipe in design.recipes]
    return pl.DataFrame(
        [
            {"tokens": float(run.recipe.tokens), "rate": f"{run.recipe.lr:g}",
             "bpb": run.bpb["target"]}
            for run in runs if run.recipe is not None
        ]
    )  # fmt: skip


def foreseen(runs: pl.DataFrame, cut: int) -> list[dict[str, Any]]:
    """The longest run of each rate, from those of at most ``cut`` tokens."""
    ask = runs.filter(pl.col("tokens") == max(LENGTHS))
    found = forecast_runs(
        runs.filter(pl.col("tokens") <= cut), ask, y="bpb", group="rate", draws=1000, seed=0
    )
    medians, intervals = found.quantile(0.5), found.interval(0.95)
    return [
        {
            "rate": row["rate"],
            "from_tokens": cut,
            "actual": row["bpb"],
            "median": float(median),
            "interval_95": [float(low), float(high)],
            "error": float(median / row["bpb"] - 1),
            "inside": bool(low <= row["bpb"] <= high),
        }
        for row, median, (low, high) in zip(
            ask.iter_rows(named=True), medians, intervals, strict=True
        )
    ]


def main() -> None:
    """Train, forecast, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None, help="keeps runs; a second call goes on")
    given = parser.parse_args().out
    with tempfile.TemporaryDirectory() as scratch:
        out = given or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        runs = sounded(out)
    result = {
        "machine": machine(),
        "bpb": {
            rate: {f"{tokens:.0f}": bpb for tokens, bpb in part.select("tokens", "bpb").iter_rows()}
            for (rate,), part in runs.group_by("rate", maintain_order=True)
        },
        "forecasts": [each for cut in LENGTHS[-3:-1] for each in foreseen(runs, cut)],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["forecasts"], indent=1))


if __name__ == "__main__":
    main()
