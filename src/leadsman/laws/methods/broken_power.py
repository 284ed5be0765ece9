"""Smoothly broken power law: two powers that meet at a break.

    y(x) = E + A * x^-c0 * (1 + (x / d)^(1 / f))^(-c1 * f)

d: where the slope changes, in the unit of x; f: over how many e-folds of x. The log-log slope
goes from -c0 to -(c0 + c1). Caballero et al. 2022, "Broken Neural Scaling Laws", one break.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, Shape, ShapeValues
from leadsman.methods import Paper


class BrokenPower(PowerSumLaw):
    """Result as an offset plus a power of one input whose exponent changes at a break.

    Args:
        x: the input column.
        delta, priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.
    """

    name = "broken-power"
    paper = Paper("Broken Neural Scaling Laws", 2022)
    terms = ("E", "A")
    exponents = (
        Exponent("c0", lower=0.0, upper=2.0, starts=(0.03, 0.15, 0.5)),
        Exponent("c1", lower=-1.0, upper=2.0, starts=(-0.1, 0.1, 0.4)),
    )
    shapes = (Shape("d"), Shape("f"))

    def __init__(
        self,
        *,
        x: str = "flops",
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.x = x
        self.inputs = (x,)
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def shape_grid(self, x: Mapping[str, Floats]) -> list[tuple[float, ...]]:
        """Breaks inside the runs (a break beyond them cannot be seen), sharp and smooth."""
        low, high = np.quantile(np.log(x[self.x]), [0.15, 0.85])
        return list(itertools.product(np.exp(np.linspace(low, high, 6)), (0.3, 1.0)))

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log x and -f log(1 + (x/d)^(1/f)) in the A term; shape (..., n, 2, 2)."""
        d, f = shape
        logs = np.log(x[self.x])
        bend = f * np.logaddexp(0.0, (logs - np.log(d)) / f)
        features = np.zeros((*bend.shape, 2, 2))
        features[..., 1, 0] = -logs
        features[..., 1, 1] = -bend
        return features
