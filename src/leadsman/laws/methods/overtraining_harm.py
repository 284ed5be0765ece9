"""What over-training does to a later fine-tuning.

    L(T) = E + A * T^-alpha + H * T^beta

Springer et al., "Overtrained Language Models Are Harder to Fine-Tune" (2025, catalogue 330): the
base model improves with its tokens T, while its sensitivity to any change of weights grows, so
the loss after fine-tuning falls, turns, and rises. The paper shows the two trends; the power form
of the second is ours. The turn lies at T* = (alpha A / (beta H))^(1 / (alpha + beta)).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.methods import Paper


class OvertrainingHarm(PowerSumLaw):
    """Loss after fine-tuning against pre-training tokens: falls, turns and rises again.

    Args:
        delta: Huber's delta on log residuals; wider than other laws' as the runs are few, and a
            narrow one follows as many of them as there are parameters.
        priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.

    Columns: ``tokens`` (pre-training). The runs share one model and one fine-tuning recipe.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer than six runs.
    """

    name = "overtraining-harm"
    paper = Paper("Overtrained Language Models Are Harder to Fine-Tune", 2025, 330)
    inputs = ("tokens",)
    terms = ("E", "A", "H")
    exponents = (
        Exponent("alpha", lower=0.02, upper=2.0, starts=(0.1, 0.2, 0.5)),
        Exponent("beta", lower=0.05, upper=3.0, starts=(0.3, 1.0, 2.0)),
    )

    def __init__(
        self,
        *,
        delta: float = 0.02,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log T in the falling term, log T in the rising one; shape (n, 3, 2)."""
        logs = np.log(x["tokens"])
        features = np.zeros((len(logs), 3, 2))
        features[:, 1, 0] = -logs
        features[:, 2, 1] = logs
        return features


def best_tokens(fitted: FittedLaw, *, draws: int = 200, seed: int = 0) -> tuple[float, Floats]:
    """Pre-training tokens after which fine-tuning gets worse: best estimate, and draws of it."""

    def turn(values: Mapping[str, Floats | float]) -> Floats:
        ratio = (
            np.asarray(values["alpha"]) * values["A"] / (np.asarray(values["beta"]) * values["H"])
        )
        return np.asarray(ratio ** (1 / (np.asarray(values["alpha"]) + values["beta"])))

    return float(turn(fitted.parameters())), turn(fitted.parameter_draws(draws=draws, seed=seed))
