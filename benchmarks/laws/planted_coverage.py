"""Coverage of forecasts where the truth is known: Chinchilla's law, noise of several sizes.

    python -m benchmarks.laws.planted_coverage [--replicates 20] [--out FILE]

16 runs on a grid (10M to 300M parameters, 5 to 320 tokens per parameter) are forecast to points at
6 to 40 times their largest compute. Intervals made for real tables, which no law fits exactly,
should cover more than nominal where noise is small; where noise is all there is, they should still
cover.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from leadsman.laws import forecast_runs

NOISES = (0.003, 0.01, 0.03)
POINTS = pl.DataFrame({"params": [1e9, 1e9, 2e9, 4e9], "tokens": [1e11, 3e11, 4e10, 8e10]})


def truth(points: pl.DataFrame) -> np.ndarray:
    """Loss in nats per token, shape (n,)."""
    params, tokens = points["params"].to_numpy(), points["tokens"].to_numpy()
    return 1.8 + 400 / params**0.34 + 410 / tokens**0.28


def coverage(noise: float, replicates: int) -> dict[str, float]:
    """Share of new runs inside 50 % and 95 % intervals, and the width of the latter."""
    params, ratio = (
        each.ravel() for each in np.meshgrid([1e7, 3e7, 1e8, 3e8], [5.0, 20.0, 80.0, 320.0])
    )
    settings = pl.DataFrame({"params": params, "tokens": params * ratio})
    inside: dict[float, list[np.ndarray]] = {0.5: [], 0.95: []}
    widths = []
    for seed in range(replicates):
        rng = np.random.default_rng(seed)
        losses = truth(settings) * np.exp(noise * rng.standard_normal(len(settings)))
        came = truth(POINTS) * np.exp(noise * rng.standard_normal(len(POINTS)))
        forecast = forecast_runs(settings.with_columns(loss=losses), POINTS, seed=seed)
        for level, found in inside.items():
            low, high = forecast.interval(level).T
            found.append((low <= came) & (came <= high))
        widths.append(np.log(high / low).mean())
    return {
        "noise": noise,
        "covered_50": float(np.mean(inside[0.5])),
        "covered_95": float(np.mean(inside[0.95])),
        "log_width_95": float(np.mean(widths)),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/laws/results/planted_coverage.json")
    )
    options = parser.parse_args()
    rows = [coverage(noise, options.replicates) for noise in NOISES]
    for row in rows:
        print(row)
    options.out.write_text(json.dumps({"replicates": options.replicates, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
