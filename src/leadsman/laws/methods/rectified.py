"""Loss after fine-tuning, with the data the model had in effect learned before.

    L(D) = E + B / (D_l + D^beta)

Lin et al., "Selecting Large Language Model to Fine-tune via Rectified Scaling Law" (2024). D_l is
the size of data already learned in pre-training, raised to beta: below it the curve is flat
("pre-power phase"), far above it the plain power law returns. D = 0 is the model as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column
from leadsman.methods import Paper


class Rectified(ParametricLaw):
    """Rectified fine-tuning law: E + B / (D_l + D^beta), flat before its power phase.

    Args:
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``tokens`` (fine-tuning data, tokens or examples; 0 for the untouched model).

    Raises:
        InputError: the column is missing or negative.
        DesignError: fewer than five runs.
    """

    name = "rectified"
    paper = Paper("Selecting Large Language Model to Fine-tune via Rectified Scaling Law", 2024)
    inputs = ("tokens",)
    terms: ClassVar = (
        Parameter("E", 1e-6, positive=True),
        Parameter("B", positive=True),
        Parameter("D_l", 1e-6, positive=True),
        Parameter("beta", 0.01, 3.0),
    )

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """``tokens``, zero allowed."""
        tokens = column(frame, "tokens", positive=False)
        if (tokens < 0).any():
            row = int(np.argmax(tokens < 0))
            raise InputError(f"{tokens[row]} must be zero or more", line=row + 1, column="tokens")
        return {"tokens": tokens}

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """E + B / (D_l + D^beta)."""
        return np.asarray(theta["E"] + theta["B"] / (theta["D_l"] + x["tokens"] ** theta["beta"]))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Floors, exponents, and turns of the curve at several of the data sizes seen."""
        sizes = x["tokens"][x["tokens"] > 0]
        turns = np.quantile(sizes, [0.0, 0.25, 0.5, 0.75])
        start = grid(E=y.min() * np.array([0.05, 0.5, 0.9]), beta=[0.2, 0.5, 1.0], turn=turns)
        already = start["turn"] ** start["beta"]
        height = np.maximum(y.max() - start["E"], 1e-3) * (
            already + x["tokens"].min() ** start["beta"]
        )
        return {"E": start["E"], "beta": start["beta"], "D_l": already, "B": height}
