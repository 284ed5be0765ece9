"""Draws of a law as smooth surfaces over scale: evaluated once on a grid, interpolated after.

The log of a law is analytic in log params and log tokens, so a Chebyshev grid of few nodes carries
it to far more digits than a decision needs (barycentric interpolation, Berrut and Trefethen 2004).
An optimiser asks for the same few hundred draws thousands of times; on the grid that is a product
of two matrices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from leadsman.laws.base import FittedLaw
from leadsman.plan.decision.space import Floats

NODES = {1: 24, 2: 18, 3: 12}
"""Nodes a dimension, by the number of dimensions."""
BEYOND = 3.0
"""The grid reaches this much further than asked, as a factor, on both sides."""


class DrawSurface:
    """Logs of a law's draws at any scale.

    Args:
        law: fitted.
        names: columns of scale, in order.
        low, high: least and greatest value of each, shape (k,).
        draws: from the law's parameters.
        seed: of the draws.
    """

    def __init__(
        self,
        law: FittedLaw,
        names: Sequence[str],
        low: Floats,
        high: Floats,
        *,
        draws: int,
        seed: int,
    ) -> None:
        self._law, self._names, self._draws, self._seed = law, list(names), draws, seed
        self._low, self._high = np.log(low) - np.log(BEYOND), np.log(high) + np.log(BEYOND)
        size = NODES[len(names)]
        angles = np.pi * (np.arange(size) + 0.5) / size
        self._nodes = np.cos(angles)
        self._weights = np.sin(angles) * (-1.0) ** np.arange(size)
        axes = [
            (a + b) / 2 + (b - a) / 2 * self._nodes
            for a, b in zip(self._low, self._high, strict=True)
        ]
        grid = np.stack([each.ravel() for each in np.meshgrid(*axes, indexing="ij")], axis=1)
        self._values = self._direct(grid)

    def at(self, logs: Floats) -> Floats:
        """Logs of each draw at points, shape (draws, n), from logs of scale, shape (n, k)."""
        inside = ((logs >= self._low) & (logs <= self._high)).all(axis=1)
        if not inside.all():
            values = np.empty((self._draws, len(logs)))
            values[:, ~inside] = self._direct(logs[~inside])
            if inside.any():
                values[:, inside] = self.at(logs[inside])
            return values
        basis = np.ones((len(logs), 1))
        for k in range(logs.shape[1]):
            own = self._basis(
                (2 * logs[:, k] - self._low[k] - self._high[k]) / (self._high[k] - self._low[k])
            )
            basis = (basis[:, :, None] * own[:, None, :]).reshape(len(logs), -1)
        return np.asarray(self._values @ basis.T)

    def _basis(self, place: Floats) -> Floats:
        """Barycentric weights of the nodes at places in [-1, 1], shape (n, nodes)."""
        gap = place[:, None] - self._nodes
        hit = np.abs(gap) < 1e-14
        terms = self._weights / np.where(hit, 1.0, gap)
        terms = np.where(hit.any(axis=1, keepdims=True), hit.astype(np.float64), terms)
        return np.asarray(terms / terms.sum(axis=1, keepdims=True))

    def _direct(self, logs: Floats) -> Floats:
        points = pl.DataFrame(np.exp(logs), schema=self._names, orient="row")
        return np.log(self._law.curve_draws(points, draws=self._draws, seed=self._seed))
