"""What over-training does to a later fine-tuning.

    L(T) = E + A * T^-alpha + H * T^beta

Springer et al., "Overtrained Language Models Are Harder to Fine-Tune" (2025, catalogue 330): the
base model improves with its tokens T, while its sensitivity to any change of weights grows, so
the loss after fine-tuning falls, turns, and rises. The paper shows the two trends; the power form
of the second is ours. The turn lies at T* = (alpha A / (beta H))^(1 / (alpha + beta)).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.parametric import Parameter, ParametricLaw, grid
from leadsman.methods import Paper


class OvertrainingHarm(ParametricLaw):
    """Loss after fine-tuning against pre-training tokens: falls, turns and rises again.

    Args:
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``tokens`` (pre-training). The runs share one model and one fine-tuning recipe.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer than six runs.
    """

    name = "overtraining-harm"
    paper = Paper("Overtrained Language Models Are Harder to Fine-Tune", 2025, 330)
    inputs = ("tokens",)
    terms: ClassVar = (
        Parameter("E", 1e-6, positive=True),
        Parameter("A", positive=True),
        Parameter("alpha", 0.02, 2.0),
        Parameter("H", 1e-30, positive=True),
        Parameter("beta", 0.05, 3.0),
    )

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """E + A T^-alpha + H T^beta."""
        log_tokens = np.log(x["tokens"])
        falling = theta["A"] * np.exp(-theta["alpha"] * log_tokens)
        rising = theta["H"] * np.exp(theta["beta"] * log_tokens)
        return np.asarray(theta["E"] + falling + rising)

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """The first run sets the falling part, the last one the rising part."""
        few, many = x["tokens"].min(), x["tokens"].max()
        start = grid(E=y.min() * np.array([0.3, 0.8, 0.97]), alpha=[0.2, 0.5], beta=[0.3, 1.0, 2.0])
        fall = np.maximum(y[np.argmin(x["tokens"])] - start["E"], 1e-3)
        rise = np.maximum(y[np.argmax(x["tokens"])] - y.min(), 1e-4)
        return start | {
            "A": fall * few ** start["alpha"],
            "H": rise * many ** -start["beta"],
        }


def best_tokens(fitted: FittedLaw, *, draws: int = 200, seed: int = 0) -> tuple[float, Floats]:
    """Pre-training tokens after which fine-tuning gets worse: best estimate, and draws of it."""

    def turn(values: Mapping[str, Floats | float]) -> Floats:
        ratio = (
            np.asarray(values["alpha"]) * values["A"] / (np.asarray(values["beta"]) * values["H"])
        )
        return np.asarray(ratio ** (1 / (np.asarray(values["alpha"]) + values["beta"])))

    return float(turn(fitted.parameters())), turn(fitted.parameter_draws(draws=draws, seed=seed))
