"""Accuracy on a fact from how often the training data states it, and from the model's size.

    p(n, N) = chance + (1 - chance) / (1 + exp(-(a + b ln(1 + n) + c ln N + d ln(1 + n) ln N)))

Kandpal et al., "Large Language Models Struggle to Learn Long-Tail Knowledge" (2023, catalogue
134): accuracy rises with the log of the number n of relevant documents, and with the log of the
parameter count N. The logistic link, which keeps p in [0, 1], is ours; logs are centred at 100
documents and a billion parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, logit, sigmoid
from leadsman.laws.fitting.parametric_form import Parameter, check_chance
from leadsman.laws.table import column
from leadsman.methods import Paper


class FactFrequency(ParametricLaw):
    """Accuracy on facts from their number of supporting documents and the model's size.

    Args:
        chance: accuracy of a guess.
        interaction: whether larger models gain more from each document (the term ``d``).
        delta: Huber's delta on residuals; ``None`` adapts it to their scale.

    Columns: ``documents`` (that hold both the question's and the answer's entities; may be 0),
    ``params``; ``items`` if known.

    Raises:
        InputError: a column is missing or out of range.
        DesignError: fewer rows than parameters.
        MethodError: ``chance`` outside [0, 1).
    """

    name = "fact-frequency"
    paper = Paper("Large Language Models Struggle to Learn Long-Tail Knowledge", 2023, 134)
    inputs = ("documents", "params")
    output = "score"
    terms: ClassVar = (
        Parameter("a", -50.0, 50.0),
        Parameter("b", -10.0, 10.0),
        Parameter("c", -10.0, 10.0),
        Parameter("d", -5.0, 5.0),
    )

    def __init__(
        self, *, chance: float = 0.0, interaction: bool = True, delta: float | None = None
    ) -> None:
        check_chance(chance)
        self.chance = chance
        self.interaction = interaction
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """Centred logs of documents and size."""
        documents = column(frame, "documents", positive=False)
        if (documents < 0).any():
            raise InputError(
                "must be zero or more", line=int(np.argmax(documents < 0)) + 1, column="documents"
            )
        size = column(frame, "params")
        return {"documents": np.log1p(documents) - np.log(100.0), "params": np.log(size / 1e9)}

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """Without ``d`` if there is no interaction."""
        return self.terms if self.interaction else self.terms[:3]

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """chance + (1 - chance) sigmoid(a + b ln n + c ln N + d ln n ln N)."""
        power = theta["a"] + theta["b"] * x["documents"] + theta["c"] * x["params"]
        if self.interaction:
            power = power + theta["d"] * x["documents"] * x["params"]
        return np.asarray(self.chance + (1 - self.chance) * sigmoid(power))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Least squares on the logit."""
        parts = [np.ones(len(y)), x["documents"], x["params"]]
        parts += [x["documents"] * x["params"]] if self.interaction else []
        target = logit((y - self.chance) / (1 - self.chance), margin=0.02)
        found, *_ = np.linalg.lstsq(np.stack(parts, axis=1), target, rcond=None)
        return {
            name: np.asarray(found[i : i + 1], dtype=np.float64)
            for i, name in enumerate("abcd"[: len(parts)])
        }
