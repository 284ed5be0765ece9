"""Which of many named things (data sets, teachers) is best, from noisy results at cheap sizes.

Each has one quality q ~ N(0, 1), seen at size s as z = q + noise, where z is the result scored
against all things tried at that size and the noise variance is that of repeated runs there. The
posterior of q is normal and in closed form:

    precision = 1 + sum_s n_s / v_s        mean = sum_s (n_s / v_s) z_s / precision

so a lucky single run is pulled back and one that held up at several sizes is trusted.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from leadsman.errors import DesignError
from leadsman.plan.decision.space import Floats

USUAL_NOISE = 0.25
"""Noise variance over the spread of things, where no run was repeated."""

LEAST_NOISE = 0.02


class QualityBelief:
    """Joint draws of quality for named things; lower is better.

    Args:
        runs: columns ``name``, ``size`` (any label) and ``y``, lower better; repeats are rows.
        y: column of results.
        worlds: joint draws.
        seed: of the draws.

    Raises:
        DesignError: fewer than three things at every size.
    """

    def __init__(
        self, runs: pl.DataFrame, *, y: str = "y", worlds: int = 1000, seed: int = 0
    ) -> None:
        self.y, self.worlds, self._seed = y, worlds, seed
        self.names = sorted(runs["name"].unique().to_list())
        total, precision = np.zeros(len(self.names)), np.ones(len(self.names))
        used = 0
        for part in runs.partition_by("size", maintain_order=True):
            seen = part.group_by("name").agg(
                mean=pl.col(y).mean(), count=pl.len(), variance=pl.col(y).var()
            )
            spread = float(seen["mean"].std() or 0.0)  # type: ignore[arg-type]
            if len(seen) < 3 or spread == 0:
                continue
            used += 1
            noise = _noise(seen, spread)
            centre = float(seen["mean"].mean())  # type: ignore[arg-type]
            for row in seen.iter_rows(named=True):
                place = self.names.index(row["name"])
                weight = row["count"] / noise
                total[place] += weight * (row["mean"] - centre) / spread
                precision[place] += weight
        if not used:
            raise DesignError("at least three names at one size are needed to rank them")
        self.mean = total / precision
        self.sd = 1 / np.sqrt(precision)

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Quality in standard deviations of the things tried, shape (worlds, n)."""
        rows = [self.names.index(name) for name in points["name"]]
        z = np.random.default_rng([self._seed, 9]).standard_normal((self.worlds, len(self.names)))
        values = np.asarray((self.mean + z * self.sd)[:, rows])
        return values if worlds is None else values[worlds]


def _noise(seen: pl.DataFrame, spread: float) -> float:
    repeated = seen.filter(pl.col("count") > 1)["variance"]
    if repeated.is_empty():
        return USUAL_NOISE
    return max(float(repeated.median()) / spread**2, LEAST_NOISE)  # type: ignore[arg-type]
