"""Which of many named things (data sets, teachers) is best at a large size, from noisy cheap runs.

Each has a quality q(s) that drifts with the size s it is tried at: a Gaussian process of unit
variance in log size, independent between things (Ornstein and Uhlenbeck 1930),

    cov(q(s), q(t)) = exp(-|ln s - ln t| / reach)        z_s = q(s) + noise

where z_s is the result scored against all things tried at that size. ``reach`` maximises the
likelihood of what was seen at several sizes, and is infinite where there is one size only (nothing
tells a drift). The posterior at the size asked about is normal and in closed form: a lucky single
run is pulled back, one that held up is trusted, and the smaller size says little where the larger
one was tried.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import chi2

from leadsman.errors import DesignError
from leadsman.plan.decision.space import Floats

USUAL_NOISE = 0.25
"""Noise variance over the spread of things, where no run was repeated."""

LEAST_NOISE = 0.02
LEAST_SIGNAL = 0.1
REACHES = np.append(np.geomspace(0.25, 64, 33), np.inf)
"""Of the drift, in e-folds of size."""


class QualityBelief:
    """Joint draws of quality for named things; lower is better.

    Args:
        runs: columns ``name``, ``params`` (the size) and ``y``, lower better; repeats are rows.
        y: column of results.
        at: size asked about; by default the largest tried.
        worlds: joint draws.
        seed: of the draws.

    Attributes:
        reach: of the drift, in e-folds of size.
        mean, sd: of each name's quality at ``at``, in standard deviations of the things tried.

    Raises:
        DesignError: fewer than three things at every size.
    """

    def __init__(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "y",
        at: float | None = None,
        worlds: int = 1000,
        seed: int = 0,
    ) -> None:
        self.y, self.worlds, self._seed = y, worlds, seed
        self.names = sorted(runs["name"].unique().to_list())
        seen = _standardised(runs, y)
        if seen.is_empty():
            raise DesignError("at least three names at one size are needed to rank them")
        target = float(np.log(at if at is not None else seen["log_size"].exp().max()))  # type: ignore[arg-type]
        # Results scatter by quality and noise together: what noise takes, quality does not have.
        signal = max(1.0 - float(seen["noise"].mean()), LEAST_SIGNAL)  # type: ignore[arg-type]
        seen = seen.with_columns(pl.col("z") / signal**0.5, pl.col("noise") / signal)
        parts = [_results_of(seen, name) for name in self.names]
        several = seen["log_size"].n_unique() > 1
        likelihood = [
            sum(_log_likelihood(*part, reach) for part in parts) if several else 0.0
            for reach in REACHES
        ]
        self.reach = float(REACHES[int(np.argmax(likelihood))]) if several else float("inf")
        posterior = [_posterior(*part, target, self.reach) for part in parts]
        self.mean = np.array([mean for mean, _ in posterior])
        self.sd = np.array([sd for _, sd in posterior])

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Quality in standard deviations of the things tried, shape (worlds, n)."""
        rows = [self.names.index(name) for name in points["name"]]
        z = np.random.default_rng([self._seed, 9]).standard_normal((self.worlds, len(self.names)))
        values = np.asarray((self.mean + z * self.sd)[:, rows])
        return values if worlds is None else values[worlds]


def _standardised(runs: pl.DataFrame, y: str) -> pl.DataFrame:
    """Columns name, log_size, z and noise (variance of z); sizes with three names or more."""
    parts = []
    for part in runs.partition_by("params", maintain_order=True):
        seen = part.group_by("name", maintain_order=True).agg(
            mean=pl.col(y).mean(), count=pl.len(), variance=pl.col(y).var()
        )
        spread = float(seen["mean"].std() or 0.0)  # type: ignore[arg-type]
        if len(seen) < 3 or spread == 0:
            continue
        noise = _noise(seen, spread)
        parts.append(
            seen.select(
                "name",
                log_size=pl.lit(float(np.log(part["params"][0]))),
                z=(pl.col("mean") - pl.col("mean").mean()) / spread,
                noise=noise / pl.col("count"),
            )
        )
    schema = {"name": pl.String, "log_size": pl.Float64, "z": pl.Float64, "noise": pl.Float64}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


Results = tuple[Floats, Floats, Floats]
"""Log sizes, scored results and noise variances of one thing."""


def _results_of(seen: pl.DataFrame, name: str) -> Results:
    own = seen.filter(pl.col("name") == name)
    return own["log_size"].to_numpy(), own["z"].to_numpy(), own["noise"].to_numpy()


def _noise(seen: pl.DataFrame, spread: float) -> float:
    """Variance of one run over that of things: the median over names, freed of its bias.

    The variance of few repeats is most often too small: divided by the median of its chi-square
    law, half of all repeats lie above and half below the truth. A name whose runs differ in more
    than luck (a sweep) hardly moves the median.
    """
    repeated = seen.filter(pl.col("count") > 1)
    if repeated.is_empty():
        return USUAL_NOISE
    freedom = repeated["count"].to_numpy() - 1
    unbiased = repeated["variance"].to_numpy() * freedom / chi2.ppf(0.5, freedom)
    return max(float(np.median(unbiased)) / spread**2, LEAST_NOISE)


def _covariance(first: Floats, second: Floats, reach: float) -> Floats:
    return np.asarray(np.exp(-np.abs(first[:, None] - second[None, :]) / reach))


def _log_likelihood(log_size: Floats, z: Floats, noise: Floats, reach: float) -> float:
    """Of one thing's results, up to a constant; nothing where it was tried at one size only."""
    if len(z) < 2:
        return 0.0
    covariance = _covariance(log_size, log_size, reach) + np.diag(noise)
    _, logdet = np.linalg.slogdet(covariance)
    return float(-(z @ np.linalg.solve(covariance, z) + logdet) / 2)


def _posterior(
    log_size: Floats, z: Floats, noise: Floats, target: float, reach: float
) -> tuple[float, float]:
    """Mean and standard deviation of one thing's quality at the log size ``target``."""
    if not len(z):
        return 0.0, 1.0
    across = _covariance(np.array([target]), log_size, reach)[0]
    weights = np.linalg.solve(_covariance(log_size, log_size, reach) + np.diag(noise), across)
    return float(weights @ z), float(np.sqrt(max(1 - weights @ across, 0.0)))
