"""How the effect of a data mixture on the log loss moves with scale, in published runs.

    LEADSMAN_DATASETS=DIR python -m benchmarks.plan.share_drift

Gadre et al.: the log ratio of the losses of two training corpora at one size and length, over log
tokens and log params, for every evaluation set (least squares). RegMix: the same 256 mixtures at 1M
and 60M parameters, the log loss less its mean over mixtures, for every domain. Reported: root mean
square of the change per e-fold of scale, as a share of the root mean square effect.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import numpy as np
import polars as pl

RESULT = Path(__file__).parent / "results/share_drift.json"
SIZES = (1e6, 60e6)
LEAST = 8


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def gadre(folder: Path) -> dict[str, float]:
    """Pairs of corpora."""
    frame = pl.read_csv(folder / "models_104.csv")
    losses = [
        name
        for name in frame.columns
        if name.startswith("loss_") and "upper" not in name and "lower" not in name
    ]
    found = []
    for loss, pair in itertools.product(
        losses, itertools.combinations(sorted(frame["dataset_name"].unique()), 2)
    ):
        one, other = (
            frame.filter(pl.col("dataset_name") == name)
            .select("N", "D", "tok_mult", pl.col(loss).alias("loss"))
            .drop_nulls()
            for name in pair
        )
        both = one.join(other, on=["N", "tok_mult"], suffix="_other")
        if len(both) < LEAST:
            continue
        effect = np.log(both["loss"].to_numpy() / both["loss_other"].to_numpy())
        logs = [np.log(both[name].to_numpy().astype(float)) for name in ("D", "N")]
        design = np.stack([np.ones(len(both)), *(each - each.mean() for each in logs)], axis=1)
        found.append(np.linalg.lstsq(design, effect, rcond=None)[0])
    effects, tokens, params = np.array(found).T
    return {
        "pairs": len(found),
        "effect": rms(effects),
        "change_per_efold_of_tokens": rms(tokens) / rms(effects),
        "change_per_efold_of_params": rms(params) / rms(effects),
    }


def regmix(folder: Path) -> dict[str, float]:
    """Domains of the same mixtures at two sizes."""
    small, large = (
        pl.read_csv(folder / f"test_pile_loss_{name}.csv").sort("index") for name in ("1m", "60m")
    )
    effects, changes = [], []
    for domain in small.columns[1:]:
        before, after = (
            logs - logs.mean()
            for logs in (np.log(frame[domain].to_numpy()) for frame in (small, large))
        )
        effects.append(rms(before))
        changes.append(rms(after - before))
    efolds = np.log(SIZES[1] / SIZES[0])
    ratios = np.array(changes) / np.array(effects) / efolds
    return {
        "domains": len(effects),
        "mixtures": len(small),
        "effect": rms(np.array(effects)),
        "change_per_efold_of_params": float(np.median(ratios)),
        "largest": float(ratios.max()),
    }


def main() -> None:
    """Read, reckon, write one JSON."""
    root = Path(os.environ["LEADSMAN_DATASETS"])
    result = {"gadre": gadre(root / "gadre_overtraining"), "regmix": regmix(root / "regmix")}
    text = json.dumps(result, indent=1)
    RESULT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
