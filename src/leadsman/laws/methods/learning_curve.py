"""Where a learning curve is going, and when it is safe to stop.

    loss:   y(x) = c + a x^-b          score: y(x) = c - a x^-b

Vilares Ferro et al., "Modeling of learning curves with applications to pos tagging" (2017,
catalogue 351): fit the curve to ever longer beginnings and follow the asymptote c of each fit. At
first it jumps about; the *prediction level* is the point after which it moves one way only. From
then on the gap between asymptote and curve bounds what is still to be gained, and a run may stop
once that gap falls below a threshold the user sets.

x is ``step`` or ``tokens``; y nats per token, or a score in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_parametric import FittedParametric
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column
from leadsman.methods import Paper

SMALLEST_PORTION = 6


class LearningCurve(ParametricLaw):
    """Extrapolates one learning curve by a power law with an asymptote.

    Args:
        x: column with the position on the curve (``tokens``, ``step``).
        of: whether the curve falls like a ``loss`` or rises like a ``score``.
        delta: Huber's delta; ``None`` adapts it to the scale of the residuals.

    Columns: the one named by ``x``. One curve only.

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer than four rows.
        MethodError: ``of`` is neither.
    """

    name = "learning-curve"
    paper = Paper("Modeling of learning curves with applications to pos tagging", 2017, 351)
    inputs = ("tokens",)
    terms: ClassVar = (
        Parameter("c", 0.0),
        Parameter("a", positive=True),
        Parameter("b", 0.02, 5.0),
    )

    def __init__(
        self,
        *,
        x: str = "tokens",
        of: Literal["loss", "score"] = "loss",
        delta: float | None = None,
    ) -> None:
        if of not in ("loss", "score"):
            raise MethodError(f"of must be 'loss' or 'score', not {of!r}")
        self.x = x
        self.of = of
        self.output = of
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The position on the curve."""
        return {"x": column(frame, self.x)}

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """The asymptote of a score is at most 1."""
        top = 1.0 if self.of == "score" else math.inf
        return (Parameter("c", 0.0, top), *self.terms[1:])

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """c + a x^-b for a loss, c - a x^-b for a score."""
        gap = theta["a"] * np.exp(-theta["b"] * np.log(x["x"]))
        return np.asarray(theta["c"] + gap if self.of == "loss" else theta["c"] - gap)

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Asymptotes beyond the last value, several exponents."""
        last, spread = y[np.argmax(x["x"])], max(float(np.ptp(y)), 1e-6)
        sign = 1.0 if self.of == "loss" else -1.0
        start = grid(c=last - sign * spread * np.array([0.02, 0.2, 0.6]), b=[0.2, 0.5, 1.0])
        start["c"] = np.clip(start["c"], 0.0, 1.0 if self.of == "score" else None)
        first = int(np.argmin(x["x"]))
        return start | {
            "a": np.maximum(sign * (y[first] - start["c"]), 1e-6) * x["x"][first] ** start["b"]
        }


@dataclass(frozen=True)
class Trace:
    """The asymptotes of fits to ever longer beginnings of a curve.

    Attributes:
        x: where each beginning ends, shape (m,).
        asymptote: of each fit, shape (m,).
        gap: what the fit says is still to be gained at the end of each beginning, shape (m,).
        prediction_level: index of the first fit from which asymptotes move one way (within the
            run's noise); ``None`` if that has not happened.
        stop: index of the first fit past the prediction level whose gap is within the threshold;
            ``None`` if the run should go on.
    """

    x: Floats
    asymptote: Floats
    gap: Floats
    prediction_level: int | None
    stop: int | None


def trace(
    curve: pl.DataFrame,
    *,
    threshold: float,
    y: str = "loss",
    law: LearningCurve | None = None,
    steps: int = 12,
    seed: int = 0,
) -> Trace:
    """Follow the asymptote along a curve and say when it was safe to stop.

    Args:
        curve: one run, at least seven rows.
        threshold: how much further gain is not worth waiting for, in the unit of ``y``.
        y: the column that is learned.
        law: the learning curve's form.
        steps: how many beginnings to fit, evenly spaced by rows.
        seed: of the fits.

    Raises:
        DesignError: fewer than seven rows.
        MethodError: ``threshold`` not above zero.
    """
    if not threshold > 0:
        raise MethodError(f"threshold must be above zero, not {threshold}")
    law = law or LearningCurve()
    curve = curve.sort(law.x)
    if len(curve) <= SMALLEST_PORTION:
        raise DesignError(f"a learning curve needs {SMALLEST_PORTION + 1} rows, not {len(curve)}")
    ends = np.unique(np.linspace(SMALLEST_PORTION, len(curve), steps).astype(int))
    fits = [law.fit(curve[:end], y=y, seed=seed) for end in ends]
    asymptote = np.array([fit.parameters()["c"] for fit in fits])
    gap = np.array([_gap(fit, curve[end - 1 : end]) for fit, end in zip(fits, ends)])
    level = _settled(asymptote, threshold)
    stop = None
    if level is not None:
        near = np.flatnonzero(gap[level:] <= threshold)
        stop = level + int(near[0]) if near.size else None
    return Trace(column(curve, law.x)[ends - 1], asymptote, gap, level, stop)


def _gap(fit: FittedParametric, last: pl.DataFrame) -> float:
    return abs(float(fit.curve(last)[0]) - fit.parameters()["c"])


def _settled(asymptote: Floats, tolerance: float) -> int | None:
    """First index from which the sequence is monotone up to a tenth of ``tolerance``."""
    moves = np.diff(asymptote)
    slack = 0.1 * tolerance
    for level in range(len(asymptote) - 2):
        rest = moves[level:]
        if (rest <= slack).all() or (rest >= -slack).all():
            return level
    return None
