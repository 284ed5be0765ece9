"""Power law that starts late: a curve flat at first, then falling as a power.

    y(x) = E + A / (x + x0)^alpha

x0 in the unit of x: what the model brings along before the first sample counts (pre-training, a
warm-up). With x = fine-tuning samples this is the form of Hernandez et al. 2021, "Scaling Laws for
Transfer" (effective data transferred).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, Shape, ShapeValues
from leadsman.methods import Paper


class ShiftedPower(PowerSumLaw):
    """Result as an offset plus a power of an input with a head start.

    Args:
        x: the input column.
        delta, priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.
    """

    name = "shifted-power"
    paper = Paper("Scaling Laws for Transfer", 2021)
    terms = ("E", "A")
    exponents = (Exponent("alpha", lower=0.001, starts=(0.05, 0.12, 0.25, 0.45, 0.8)),)
    shapes = (Shape("x0"),)

    def __init__(
        self,
        *,
        x: str = "tokens",
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.x = x
        self.inputs = (x,)
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def shape_grid(self, x: Mapping[str, Floats]) -> list[tuple[float, ...]]:
        """No head start, and ten from a tenth of the smallest input to the largest."""
        values = x[self.x]
        return [(0.0,), *((each,) for each in np.geomspace(values.min() / 10, values.max(), 10))]

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log(x + x0) in the A term; shape (..., n, 2, 1)."""
        logs = np.log(x[self.x] + shape[0])
        features = np.zeros((*logs.shape, 2, 1))
        features[..., 1, 0] = -logs
        return features
