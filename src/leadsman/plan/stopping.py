"""Give up on a run whose learning curve will not come near that of its best rival.

Rivals differ in the learning rate only and read the same batches in the same order. The curve so
far is fitted by a power law with an asymptote
(:class:`leadsman.laws.methods.learning_curve.LearningCurve`) and extended to where the decay
begins; the run is hopeless if even the optimistic end of that forecast is worse, by a margin, than
what the best rival has there. A higher rate stands worse before the decay and gains more in it, so
the margin is not small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import DesignError
from leadsman.laws.methods.learning_curve import LearningCurve

POINTS = 24
"""A curve is averaged into this many points, evenly spaced in log tokens."""


@dataclass(frozen=True)
class LearningCurveStop:
    """A :class:`leadsman.train.ladder.StopRule`.

    Attributes:
        margin: how much worse than the best rival, as a share of its loss.
        level: of the one-sided forecast bound.
        seed: of the forecast's draws.
    """

    margin: float = 0.05
    level: float = 0.9
    seed: int = 0

    def __call__(self, curve: pl.DataFrame, rivals: Sequence[pl.DataFrame], *, tokens: int) -> str:
        """Why the run is hopeless; empty if it is not, or if that cannot be told yet."""
        bounds = [self.loss_at(rival, self.level, tokens=tokens) for rival in rivals]
        known = [bound for bound in bounds if bound is not None]
        optimistic = self.loss_at(curve, 1 - self.level, tokens=tokens)
        if not known or optimistic is None or optimistic <= (1 + self.margin) * min(known):
            return ""
        return (
            f"its learning curve leads to {optimistic:.3f} nats per token at best "
            f"({self.level:.0%}) before the decay, and a rival comes to {min(known):.3f} there"
        )

    def loss_at(self, curve: pl.DataFrame, quantile: float, *, tokens: int) -> float | None:
        """Quantile of the loss at ``tokens``: as reached, or forecast from the curve so far.

        ``None`` if the curve cannot be fitted yet.
        """
        if len(curve) and curve["tokens"].max() == tokens:
            return last_loss(curve)
        if len(curve) < POINTS:
            return None
        points = averaged(curve)
        try:
            fitted = LearningCurve().fit(points, y="loss", seed=self.seed)
        except DesignError:
            return None
        forecast = fitted.predict(pl.DataFrame({"tokens": [float(tokens)]}))
        return float(forecast.quantile(quantile)[0])


def averaged(curve: pl.DataFrame, points: int = POINTS) -> pl.DataFrame:
    """A noisy curve as a few means, evenly spaced in log tokens."""
    tokens, loss = curve["tokens"].to_numpy().astype(float), curve["loss"].to_numpy()
    edges = np.geomspace(tokens[0], tokens[-1] + 1, points + 1)
    bins = np.digitize(tokens, edges)
    rows = [
        {"tokens": float(np.exp(np.log(tokens[bins == b]).mean())), "loss": loss[bins == b].mean()}
        for b in np.unique(bins)
    ]
    return pl.DataFrame(rows, schema={"tokens": pl.Float64, "loss": pl.Float64})


def last_loss(curve: pl.DataFrame, share: float = 0.05) -> float:
    """Mean loss over the last part of a curve."""
    count = max(1, round(share * len(curve)))
    return float(curve["loss"].tail(count).to_numpy().mean())
