"""Kaplan: loss in model size and data, without an irreducible part.

    L(N, D) = ((Nc / N)^(alphaN / alphaD) + Dc / D)^alphaD

N ``params`` (non-embedding), D ``tokens``. Kaplan et al. 2020, "Scaling Laws for Neural Language
Models", equation 1.5; estimated step by step in "Unraveling the Mystery of Scaling Laws: Part I".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, Shape, ShapeValues
from leadsman.methods import Paper


class Kaplan(PowerSumLaw):
    """Loss as a power of a sum of a size term and a data term.

    Fitted parameters: ``a`` = Nc^ratio and ``b`` = Dc, ``ratio`` = alphaN / alphaD, ``alphaD``.
    """

    name = "kaplan"
    paper = Paper("Unraveling the Mystery of Scaling Laws: Part I", 2024, 149)
    inputs = ("params", "tokens")
    terms = ("a", "b")
    exponents = (Exponent("ratio", lower=0.05, upper=4.0, starts=(0.4, 0.8, 1.3, 2.0)),)
    shapes = (Shape("alphaD", tuple(np.geomspace(0.02, 0.6, 18).tolist())),)

    def power(self, shape: ShapeValues) -> Floats | float:
        """alphaD."""
        return shape[0]

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log N in the size term; shape (n, 2, 1)."""
        features = np.zeros((len(x["params"]), 2, 1))
        features[:, 0, 0] = -np.log(x["params"])
        return features

    def base(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log D in the data term; shape (n, 2)."""
        return np.stack([np.zeros(len(x["tokens"])), -np.log(x["tokens"])], axis=1)
