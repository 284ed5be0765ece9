"""One series of runs: its laws, their joint draws, and the checked forecast's centre and spread.

A world is one draw of the parameters of one law, moved so that over all worlds centre and spread
are those of the forecast (:mod:`leadsman.plan.decision.belief`).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.interpolate import RBFInterpolator
from scipy.optimize import nnls

from leadsman.errors import DesignError, LeadsmanError
from leadsman.laws.base import FittedLaw, Law
from leadsman.plan.decision.space import Floats, Worlds
from leadsman.plan.decision.surface import DrawSurface
from leadsman.registry import method

SCALE = ("params", "tokens", "unique_tokens")
LAWS = ("chinchilla", "over-training", "kaplan", "data-constrained")
DATA_LAWS = ("finetune-power", "shifted-power")
"""Where all runs are of one size."""
BOOTSTRAP = 400


class Series:
    """The runs of one series: laws, their draws, and the forecast's centre and spread."""

    def __init__(
        self,
        runs: pl.DataFrame,
        anchors: pl.DataFrame,
        forecast: tuple[Floats, Floats],
        *,
        y: str,
        common: Floats,
        seed: int,
    ) -> None:
        self._common = common
        self._seed = seed
        self._laws = fit_laws(runs, y, seed)
        rng = np.random.default_rng([seed, 11])
        centre, spread = forecast
        curves = np.stack([np.log(law.curve(anchors)) for law in self._laws], axis=1)
        # Which laws stand behind the forecast: shares that rebuild its centre, summing to one.
        heavy = 1e3 * np.ones((1, len(self._laws)))
        shares, _ = nnls(np.vstack([curves, heavy]), np.append(centre, 1e3))
        shares = (
            shares / shares.sum() if shares.sum() > 0 else np.full(len(shares), 1 / len(shares))
        )
        self._law_of = rng.choice(len(self._laws), size=len(common), p=shares)
        self._draw_of = rng.integers(BOOTSTRAP, size=len(common))
        logs = _log_scale(anchors)
        low, high = np.exp(logs.min(axis=0)), np.exp(logs.max(axis=0))
        names = [name for name in SCALE if name in anchors.columns]
        self._surfaces = {
            k: DrawSurface(law, names, low, high, draws=BOOTSTRAP, seed=seed)
            for k, law in enumerate(self._laws)
            if (self._law_of == k).any()
        }
        features = _log_scale(anchors)
        own = self._law_draws(features, slice(None))
        self._centre_law = shares
        mean, sd = own.mean(axis=0), own.std(axis=0)
        self._shift = _smooth(features, centre - mean)
        self._spread = _smooth(features, np.log(np.maximum(spread, 1e-6)))
        self._own_sd = _smooth(features, np.log(np.maximum(sd, 1e-6)))
        self._mean = _smooth(features, mean - curves @ shares)

    def log_draws(self, points: pl.DataFrame, pick: Worlds) -> Floats:
        """Log results, shape (worlds, n)."""
        features = _log_scale(points)
        own = self._law_draws(features, pick)
        curves = np.stack([np.log(law.curve(points)) for law in self._laws], axis=1)
        mean = curves @ self._centre_law + self._mean(features)
        spread, own_sd = np.exp(self._spread(features)), np.exp(self._own_sd(features))
        shrink = np.minimum(1.0, spread / own_sd)
        rest = np.sqrt(np.maximum(spread**2 - (shrink * own_sd) ** 2, 0.0))
        deviation = np.clip(own - mean, -4 * own_sd, 4 * own_sd) * shrink
        shifted = mean + self._shift(features)
        return np.asarray(shifted + deviation + self._common[pick, None] * rest)

    def _law_draws(self, logs: Floats, pick: Worlds) -> Floats:
        """Log of each world's own law and parameter draw, shape (worlds, n)."""
        law_of, draw_of = self._law_of[pick], self._draw_of[pick]
        values = np.empty((len(law_of), len(logs)))
        for k, surface in self._surfaces.items():
            mine = law_of == k
            if mine.any():
                values[mine] = surface.at(logs)[draw_of[mine]]
        return values


def fit_laws(runs: pl.DataFrame, y: str, seed: int, *, most: int = len(LAWS)) -> list[FittedLaw]:
    """Laws of scale these runs can carry, ``most`` of them; of data alone where no size is told.

    Raises:
        DesignError: none; the first law's own reason.
    """
    fitted: list[FittedLaw] = []
    reason: LeadsmanError | None = None
    for name in LAWS if "params" in runs.columns else DATA_LAWS:
        if len(fitted) == most:
            break
        if (name == "data-constrained") != ("unique_tokens" in runs.columns):
            continue
        cls = method("law", name)
        assert issubclass(cls, Law)
        try:
            fitted.append(cls().fit(runs, y=y, seed=seed))
        except LeadsmanError as error:
            reason = reason or error
    if not fitted:
        raise DesignError(f"no law of size and data can be fitted on these runs: {reason}")
    return fitted


def _log_scale(points: pl.DataFrame) -> Floats:
    names = [name for name in SCALE if name in points.columns]
    return np.log(np.column_stack([points[name].to_numpy() for name in names]).astype(np.float64))


def _smooth(features: Floats, values: Floats) -> RBFInterpolator:
    """A smooth surface through values at the anchors, linear far away."""
    return RBFInterpolator(features, values, kernel="linear", degree=1, smoothing=1e-3)
