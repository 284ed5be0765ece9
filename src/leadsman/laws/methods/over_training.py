"""Loss in compute and over-training.

    L(C, M) = E + (a * M^eta + b * M^-eta) * C^-eta

C ``flops``, M = ``tokens`` / ``params``. Gadre et al. 2024, "Language models scale reliably with
over-training and on downstream tasks": at a fixed M, loss is a power of compute with one exponent.
It is Chinchilla's law with both exponents 2 eta.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.laws.table import column, columns
from leadsman.methods import Paper


class OverTraining(PowerSumLaw):
    """Loss as a power of compute whose factor depends on tokens per parameter."""

    name = "over-training"
    paper = Paper(
        "Language models scale reliably with over-training and on downstream tasks", 2024, 165
    )
    inputs = ("params", "tokens")
    terms = ("E", "a", "b")
    exponents = (Exponent("eta", lower=0.005, upper=1.2, starts=(0.04, 0.1, 0.18, 0.3, 0.5)),)

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """``params``, ``tokens`` and ``flops`` (6ND where the table has none)."""
        return columns(frame, self.inputs) | {"flops": column(frame, "flops")}

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """log M - log C and -log M - log C; shape (n, 3, 1)."""
        ratio = np.log(x["tokens"] / x["params"])
        flops = np.log(x["flops"] if "flops" in x else 6 * x["params"] * x["tokens"])
        features = np.zeros((len(ratio), 3, 1))
        features[:, 1, 0] = ratio - flops
        features[:, 2, 0] = -ratio - flops
        return features
