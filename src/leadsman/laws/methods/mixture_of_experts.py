"""Loss of mixture-of-experts models in active size, experts and data.

    L = E + A * N^-alpha * S^-gamma + B / D^beta,      S = total / active parameters

N ``active_params`` (or ``params`` where a table has no such column), S from ``total_params``, else
from ``experts``. The gain of sparsity as a power of the expansion follows Clark et al. 2022,
"Unified Scaling Laws for Routed Language Models" (whose law has no offset and no data term).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.laws.table import column
from leadsman.methods import Paper


class MixtureOfExperts(PowerSumLaw):
    """Loss as powers of active size, sparsity and data."""

    name = "moe"
    paper = Paper("Unified Scaling Laws for Routed Language Models", 2022)
    inputs = ("active_params", "sparsity", "tokens")
    terms = ("E", "A", "B")
    exponents = (
        Exponent("alpha"),
        Exponent("gamma", lower=0.0, upper=1.5, starts=(0.05, 0.2)),
        Exponent("beta"),
    )

    def reads(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """Active size, what tells the sparsity, and tokens."""
        size = "active_params" if "active_params" in frame.columns else "params"
        sparsity = "total_params" if "total_params" in frame.columns else "experts"
        return size, sparsity, "tokens"

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """Active parameters, sparsity (1 for a dense model) and tokens."""
        size, told, _ = self.reads(frame)
        active, sparsity = column(frame, size), column(frame, told)
        return {
            "active_params": active,
            "sparsity": sparsity / active if told == "total_params" else sparsity,
            "tokens": column(frame, "tokens"),
        }

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log N and -log S in the A term, -log D in the B term; shape (n, 3, 3)."""
        features = np.zeros((len(x["tokens"]), 3, 3))
        features[:, 1, 0] = -np.log(x["active_params"])
        features[:, 1, 1] = -np.log(x["sparsity"])
        features[:, 2, 2] = -np.log(x["tokens"])
        return features


class Routing(PowerSumLaw):
    """Loss of routed models as a bilinear form of log size and log experts, after Clark et al.

    log L = a log N + b log S + c log N log S + d,    1 / S = 1 / experts + 1 / ``saturation``

    The paper saturates at both ends, 1 / S = 1 / (experts - 1 + 1 / (1 / S_start - 1 / S_max))
    + 1 / S_max; the upper end alone is kept here, so a dense model counts as one expert.

    Args:
        saturation: number of experts beyond which more give nothing.
        delta, priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.
    """

    name = "routing"
    paper = Paper("Unified Scaling Laws for Routed Language Models", 2022)
    inputs = ("params", "experts")
    terms = ("d",)
    exponents = (
        Exponent("a", lower=-1.0, upper=0.5, starts=(-0.1,)),
        Exponent("b", lower=-2.0, upper=2.0, starts=(-0.1,)),
        Exponent("c", lower=-0.5, upper=0.5, starts=(0.0,)),
    )

    def __init__(
        self,
        *,
        saturation: float = 512.0,
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.saturation = saturation
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """log N, log S and their product (about N = 1e8); shape (n, 1, 3)."""
        size = np.log(x["params"] / 1e8)
        experts = np.log(1 / (1 / x["experts"] + 1 / self.saturation))
        return np.stack([size, experts, size * experts], axis=1)[:, None, :]
