"""Whether checkpoints beside finished runs make forecasts of a real ladder better.

    python -m benchmarks.laws.checkpoints --datasets DIR [--losses 4] [--out FILE]

OLMo's ladder (``olmo_ladder``: 30 runs of five sizes under a cosine schedule, each with its
evaluation losses along the way). Runs up to a tenth of the top compute, with their checkpoints, are
shown; the ends of the dearer runs are forecast from finished runs alone, from checkpoints past the
first tenth of their run too, from all, and from the combination in which these compete.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine

from leadsman.laws.backtest.cases import TENTH
from leadsman.laws.forecasting import combine, gather_series, weigh

PARAMS = {"190M": 190e6, "370M": 370e6, "760M": 760e6, "1B": 1.28e9, "3B": 3.2e9}
"""Nominal sizes; what matters is that a size is one number."""

LOSS = "/CrossEntropyLoss"


def curves(folder: Path) -> pl.DataFrame:
    """Every evaluation of every run: run, params, tokens, flops and the losses."""
    parts = []
    for path in sorted(folder.glob("*.csv")):
        frame = pl.read_csv(path, infer_schema_length=None).sort("_step")
        frame = frame.rename({"throughput/total_tokens": "tokens"})
        params = PARAMS[path.stem.split("-")[0]]
        losses = [name for name in frame.columns if name.endswith(LOSS)]
        parts.append(
            frame.select(
                pl.lit(path.stem).alias("run"),
                pl.lit(params).alias("params"),
                pl.col("tokens").cast(pl.Float64),
                (6 * params * pl.col("tokens")).alias("flops"),
                *(pl.col(name).cast(pl.Float64) for name in losses),
            )
        )
    return pl.concat(parts, how="diagonal_relaxed")


def compare(table: pl.DataFrame, name: str) -> dict[str, Any]:
    """Mean absolute error of each choice of rows on the ends of the dearer runs, in shares."""
    rows = table.select("run", "params", "tokens", "flops", loss=name).drop_nulls()
    total = pl.col("flops").max().over("run")
    small = total <= TENTH * pl.col("flops").max()
    held = rows.filter(~small).filter(pl.col("flops") == total)
    series = gather_series(
        rows.filter(small), held.drop("loss", "run"), y="loss", x=None, law="auto", group=None,
        run="run", seed=0,
    )  # fmt: skip
    names, weights = series[0].evidence.names, weigh(series)
    truth, final = held["loss"].to_numpy(), series[0].evidence.final
    found: dict[str, Any] = {"loss": name, "held_out": len(held), "runs": len(series[0].runs)}
    masks = {each: np.array([n.endswith(each) for n in names]) for each in ("warmed-up", "all")}
    masks = {"finished": ~(masks["warmed-up"] | masks["all"]), **masks, "competing": weights > -1}
    for choice, mask in masks.items():
        centre, _ = combine(final, np.where(mask, weights, 0.0))
        found[choice] = float(np.abs(np.exp(centre) / truth - 1).mean())
        found[f"{choice} weight"] = float(weights[mask].sum())
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", required=True, type=Path)
    parser.add_argument("--losses", type=int, default=11)
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/laws/results/checkpoints.json")
    )
    options = parser.parse_args()
    table = curves(options.datasets / "olmo_ladder")
    losses = sorted(name for name in table.columns if name.endswith(LOSS))[: options.losses]
    found = []
    for name in losses:
        found.append(compare(table, name))
        print(found[-1], flush=True)
    result = {"machine": machine("numpy"), "losses": found}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
