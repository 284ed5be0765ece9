"""Effective size of a model: how large a reference model would have to be to score the same.

    score(N) = chance + (1 - chance) / (1 + exp(A N^-alpha - l))
    density  = N_effective / N

Xiao et al., "Densing Law of LLMs" (2024, catalogue 159): reference models of one recipe give loss
as a power of size and score as a sigmoid of loss, here as one curve; its inverse turns a score
into a number of parameters. :mod:`leadsman.laws.methods.densing` follows density over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid, logit, sigmoid
from leadsman.laws.fitting.parametric_form import Parameter, check_chance
from leadsman.methods import Paper


class Density(ParametricLaw):
    """Score of reference models from their size, to be inverted for effective parameter counts.

    Args:
        chance: score of a guess.
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: ``params``; ``items`` if known. See :func:`effective_params`.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer than four reference models.
        MethodError: ``chance`` outside [0, 1).
    """

    name = "density"
    paper = Paper("Densing Law of LLMs", 2024, 159)
    inputs = ("params",)
    output = "score"
    terms: ClassVar = (
        Parameter("A", 1e-3, positive=True),
        Parameter("alpha", 0.01, 2.0, positive=True),
        Parameter("l", -30.0, 60.0),
    )

    def __init__(self, *, chance: float = 0.0, delta: float | None = None) -> None:
        check_chance(chance)
        self.chance = chance
        self.delta = delta

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """chance + (1 - chance) sigmoid(l - A N^-alpha)."""
        loss = theta["A"] * np.exp(-theta["alpha"] * np.log(x["params"]))
        return np.asarray(self.chance + (1 - self.chance) * sigmoid(theta["l"] - loss))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """For a few exponents the logit of the score is linear in N^-alpha."""
        target = logit((y - self.chance) / (1 - self.chance), margin=0.01)
        exponents = np.array([0.03, 0.08, 0.15, 0.3, 0.6])
        lines = np.array([np.polyfit(x["params"] ** -each, target, 1) for each in exponents])
        start = grid(alpha=exponents)
        return start | {"A": np.maximum(-lines[:, 0], 0.1), "l": lines[:, 1]}


def effective_params(
    fitted: FittedLaw, score: Floats, *, draws: int = 1000, seed: int = 0
) -> Floats:
    """Draws of the size at which a reference model reaches ``score``, shape (draws, n).

    Divide by the model's own parameter count for its density. A score beyond what the reference
    curve ever reaches gives infinity, a score at or below chance gives zero.

    Args:
        fitted: a fitted :class:`Density`.
        score: of the models in question, in [0, 1], shape (n,).
        draws: of the curve's parameters.
        seed: of the draws.
    """
    assert isinstance(fitted.law, Density)
    chance = fitted.law.chance
    theta = {k: v[:, None] for k, v in fitted.parameter_draws(draws=draws, seed=seed).items()}
    share = (np.asarray(score) - chance) / (1 - chance)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = theta["l"] - np.log(share / (1 - share))
        sizes = np.where(loss > 0, (theta["A"] / loss) ** (1 / theta["alpha"]), np.inf)
    return np.asarray(np.where(share <= 0, 0.0, np.where(share >= 1, np.inf, sizes)))
