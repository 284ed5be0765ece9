"""Loss as a function of a model's shape: width and depth instead of one parameter count.

    L = E + A * width^-a + B * depth^-b + C * tokens^-c

Terms add as in Chinchilla's law, one for each way in which a run is finite. The additive form is
common practice rather than one paper's claim; with ``params`` alone, use the Chinchilla law.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues


class WidthDepth(PowerSumLaw):
    """Loss in width, depth and tokens: one power law for each, added to a floor.

    Columns: ``width`` (of the residual stream), ``depth`` (blocks), ``tokens``; the runs must vary
    all three.
    """

    name = "width-depth"
    inputs = ("width", "depth", "tokens")
    terms = ("E", "A", "B", "C")
    exponents = (
        Exponent("a", upper=4.0, starts=(0.3, 0.8, 1.5)),
        Exponent("b", upper=4.0, starts=(0.3, 0.8, 1.5)),
        Exponent("c", starts=(0.1, 0.3, 0.6)),
    )

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log of each input in its own term; shape (n, 4, 3)."""
        features = np.zeros((len(x["width"]), 4, 3))
        for index, name in enumerate(self.inputs):
            features[:, index + 1, index] = -np.log(x[name])
        return features
