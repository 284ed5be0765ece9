"""Chinchilla's law when tokens repeat.

    L = E + A / N'^alpha + B / D'^beta
    D' = U + U * RD * (1 - exp(-(D / U - 1) / RD))          U ``unique_tokens``, D ``tokens``
    N' = V + V * RN * (1 - exp(-(N / V - 1) / RN))          V = min(N, U / ratio)

A repeated token is worth less each time, with a half-life set by RD (in epochs); parameters
beyond what the unique tokens warrant decay with RN. Muennighoff et al. 2023, "Scaling
Data-Constrained Language Models". V follows from the rule of ``ratio`` tokens per parameter rather
than from the fitted law's own optimum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.errors import MethodError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, Shape, ShapeValues
from leadsman.methods import Paper


class DataConstrained(PowerSumLaw):
    """Loss in model size and data with the worth of repeated tokens decaying.

    Args:
        ratio: tokens per parameter that unique data warrant.
        delta, priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.
    """

    name = "data-constrained"
    paper = Paper("Scaling Data-Constrained Language Models", 2023)
    inputs = ("params", "tokens", "unique_tokens")
    terms = ("E", "A", "B")
    exponents = (Exponent("alpha"), Exponent("beta"))
    shapes = (
        Shape("RD", (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 100.0)),
        Shape("RN", (1.0, 5.0, 25.0, 1000.0)),
    )

    def __init__(
        self,
        *,
        ratio: float = 20.0,
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if not ratio > 0:
            raise MethodError(f"data-constrained: ratio must be above zero, not {ratio}")
        self.ratio = ratio
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log N' in the A term, -log D' in the B term; shape (..., n, 3, 2)."""
        unique = np.minimum(x["unique_tokens"], x["tokens"])
        warranted = np.minimum(x["params"], unique / self.ratio)
        size = np.log(saturate(warranted, x["params"], shape[1]))
        features = np.zeros((*size.shape, 3, 2))
        features[..., 1, 0] = -size
        features[..., 2, 1] = -np.log(saturate(unique, x["tokens"], shape[0]))
        return features


def saturate(unique: Floats, used: Floats, constant: Floats | float) -> Floats:
    """What ``used`` is worth in ``unique`` units when repeats decay with ``constant`` (epochs).

    >>> saturate(np.array([1.0]), np.array([1.0]), 15.0)
    array([1.])
    """
    repeats = used / unique - 1
    return np.asarray(unique * (1 + constant * -np.expm1(-repeats / constant)))
