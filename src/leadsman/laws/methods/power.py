"""Power law in one input, with an offset.

    y(x) = E + A / x^alpha

x is ``tokens``, ``params``, ``flops`` or any other positive column. Hestness et al. 2017, "Deep
Learning Scaling is Predictable, Empirically" (data); Kaplan et al. 2020 (size, compute).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.methods import Paper


class Power(PowerSumLaw):
    """Result as an offset plus a power of one input.

    Args:
        x: the input column.
        offset: whether there is an irreducible part E.
        delta, priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.

    >>> import polars as pl
    >>> runs = pl.DataFrame({"tokens": [1e8, 1e9, 1e10, 1e11], "loss": [5.0, 3.5, 2.75, 2.375]})
    >>> fitted = Power(x="tokens").fit(runs)
    >>> {name: round(value, 3) for name, value in fitted.parameters().items() if name != "A"}
    {'E': 2.0, 'alpha': 0.301}
    """

    name = "power"
    paper = Paper("Deep Learning Scaling is Predictable, Empirically", 2017, 203)

    def __init__(
        self,
        *,
        x: str = "flops",
        offset: bool = True,
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.x, self.offset = x, offset
        self.inputs = (x,)
        self.terms = ("E", "A") if offset else ("A",)
        self.exponents = (Exponent("alpha", lower=0.001, starts=(0.05, 0.12, 0.25, 0.45, 0.8)),)
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log x in the A term; shape (n, terms, 1)."""
        values = x[self.x]
        features = np.zeros((len(values), len(self.terms), 1))
        features[:, -1, 0] = -np.log(values)
        return features
