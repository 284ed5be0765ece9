"""From the loss on one corpus to the loss on another.

    L_y = E_y + K * (L_x - E_x)^kappa

Brandfonbrener et al., "Loss-to-Loss Prediction: Scaling Laws for All Datasets" (2024): models of
one recipe trained on (or evaluated on) two corpora lie on a shifted power law whatever their size.
Losses in nats per token or bits per byte, the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column
from leadsman.methods import Paper


class LossToLoss(ParametricLaw):
    """Loss on one corpus from the loss on another: a shifted power law.

    Args:
        x: column with the known loss.
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: the one named by ``x``.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer than five runs.
    """

    name = "loss-to-loss"
    paper = Paper("Loss-to-Loss Prediction: Scaling Laws for All Datasets", 2024)
    inputs = ("loss_x",)
    terms: ClassVar[tuple[Parameter, ...]] = (
        Parameter("E_y", 0.0),
        Parameter("K", positive=True),
        Parameter("E_x", 0.0),
        Parameter("kappa", 0.1, 5.0),
    )

    def __init__(self, *, x: str = "loss_x", delta: float | None = None) -> None:
        self.x = x
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The known loss."""
        return {"loss": column(frame, self.x)}

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """All; E_x lies below every known loss, where the curve still falls."""
        lowest = float(x["loss"].min()) * (1 - 1e-6)
        return tuple(replace(t, upper=lowest) if t.name == "E_x" else t for t in self.terms)

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """E_y + K max(L - E_x, 0)^kappa."""
        above = np.maximum(x["loss"] - theta["E_x"], 1e-9)
        return np.asarray(theta["E_y"] + theta["K"] * above ** theta["kappa"])

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Floors below both losses, exponents around one."""
        start = grid(
            E_y=y.min() * np.array([0.0, 0.5, 0.9]),
            E_x=x["loss"].min() * np.array([0.0, 0.5, 0.9]),
            kappa=[0.7, 1.0, 1.5],
        )
        above = (np.median(x["loss"]) - start["E_x"]) ** start["kappa"]
        return start | {"K": np.maximum(np.median(y) - start["E_y"], 1e-3) / above}
