"""What an enhancement is worth, in training compute.

    score(C, m) = chance + (1 - chance) / (1 + exp(-k (log10(C g_m) - h)))

Davidson et al., "AI capabilities can be significantly improved without expensive retraining"
(2023, catalogue 289): the compute-equivalent gain g_m of a method m is the factor by which the
plain recipe's training compute C (FLOPs) would have to grow for the same score. The plain recipe
has g = 1; all methods share the curve.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_parametric import FittedParametric
from leadsman.laws.fitting.parametric import ParametricLaw, grid, label_column, sigmoid
from leadsman.laws.fitting.parametric_form import Parameter, check_chance
from leadsman.laws.table import column
from leadsman.methods import Paper


class ComputeGain(ParametricLaw):
    """Compute-equivalent gain of each method over the plain recipe, on one shared sigmoid.

    Args:
        plain: value of the column ``method`` that marks the plain recipe.
        chance: score of a guess.
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: ``flops`` (of training), ``method`` (a label); ``items`` if known. The learned
    parameters are ``k``, ``h`` and ``gain.METHOD`` (a factor).

    Raises:
        InputError: a column is missing, no run is plain, or a point's method was not in the runs.
        DesignError: fewer runs than parameters.
        MethodError: ``chance`` outside [0, 1).
    """

    name = "compute-gain"
    paper = Paper(
        "AI capabilities can be significantly improved without expensive retraining", 2023, 289
    )
    inputs = ("flops", "method")
    output = "score"
    terms: ClassVar = (
        Parameter("k", 0.01, 50.0, positive=True),
        Parameter("h", 0.0, 60.0),
    )
    methods_: tuple[str, ...] = ()

    def __init__(
        self, *, plain: str = "plain", chance: float = 0.0, delta: float | None = None
    ) -> None:
        check_chance(chance)
        self.plain = plain
        self.chance = chance
        self.delta = delta

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "score",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedParametric:
        """Fit on runs of the plain recipe and of one or more methods."""
        labels = set(label_column(runs, "method"))
        if self.plain not in labels:
            raise InputError(f"no run is {self.plain!r}; the gain is over those", column="method")
        law = copy.copy(self)
        law.methods_ = (self.plain, *sorted(labels - {self.plain}))
        return super(ComputeGain, law).fit(runs, y=y, weights=weights, seed=seed)

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """``flops``, and the method as its place among those fitted."""
        known = {label: float(place) for place, label in enumerate(self.methods_)}
        labels = label_column(frame, "method")
        for row, label in enumerate(labels):
            if label not in known:
                raise InputError(
                    f"{label!r} was not fitted; known are {', '.join(known)}",
                    line=row + 1,
                    column="method",
                )
        return {"flops": column(frame, "flops"), "method": np.array([known[x] for x in labels])}

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """The curve, and one gain for each method but the plain one."""
        gains = (Parameter(f"gain.{name}", positive=True) for name in self.methods_[1:])
        return (*self.terms, *gains)

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """chance + (1 - chance) sigmoid(k (log10(C g) - h))."""
        power = np.log10(x["flops"]) - theta["h"]
        for place, name in enumerate(self.methods_[1:], start=1):
            power = power + (x["method"] == place) * np.log10(theta[f"gain.{name}"])
        return np.asarray(self.chance + (1 - self.chance) * sigmoid(theta["k"] * power))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Turning points across and beyond the compute seen; every gain a factor of one."""
        log_flops = np.log10(x["flops"])
        middle = np.array([log_flops.min(), log_flops.mean(), log_flops.max(), log_flops.max() + 2])
        start = grid(k=[0.5, 1.5, 4.0], h=middle)
        return start | {f"gain.{name}": np.ones(1) for name in self.methods_[1:]}
