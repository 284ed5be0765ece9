"""Benchmark performance as a sigmoid of training compute.

    score(C) = chance + (top - chance) / (1 + exp(-k (log10 C - m)))

Owen, "How predictable is language model benchmark performance?" (2024, catalogue 288). C in
FLOPs; m is the order of magnitude at which half of the way is gone. Averages over many tasks
follow it decently one order of magnitude ahead, single tasks much less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid, sigmoid
from leadsman.laws.fitting.parametric_form import Parameter, check_chance, held
from leadsman.methods import Paper


class ComputeSigmoid(ParametricLaw):
    """Score as a sigmoid of log compute between chance and a ceiling.

    Args:
        chance: score of a guess; learned if ``None``.
        top: highest score; learned if ``None``.
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: ``flops`` (or ``params`` and ``tokens``); ``items`` if known.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer runs than parameters.
        MethodError: not 0 <= chance < top <= 1.
    """

    name = "compute-sigmoid"
    paper = Paper("How predictable is language model benchmark performance?", 2024, 288)
    inputs = ("flops",)
    output = "score"
    terms: ClassVar = (
        Parameter("chance", 0.0, 1.0),
        Parameter("top", 0.0, 1.0),
        Parameter("k", 0.01, 50.0, positive=True),
        Parameter("m", 0.0, 60.0),
    )

    def __init__(
        self,
        *,
        chance: float | None = None,
        top: float | None = 1.0,
        delta: float | None = None,
    ) -> None:
        check_chance(chance, top)
        self.chance = chance
        self.top = top
        self.delta = delta

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """Chance and ceiling are fixed where they are known."""
        return held(self.terms, {"chance": self.chance, "top": self.top})

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """chance + (top - chance) sigmoid(k (log10 C - m))."""
        rise = sigmoid(theta["k"] * (np.log10(x["flops"]) - theta["m"]))
        return np.asarray(theta["chance"] + (theta["top"] - theta["chance"]) * rise)

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Turning points across the compute seen and two orders beyond."""
        log_flops = np.log10(x["flops"])
        low, high = log_flops.min(), log_flops.max()
        return grid(
            chance=y.min() if self.chance is None else self.chance,
            top=[min(y.max() + 0.05, 1.0), 1.0] if self.top is None else self.top,
            k=[0.5, 1.5, 4.0],
            m=np.array([low, 0.5 * (low + high), high, high + 1, high + 2]),
        )
