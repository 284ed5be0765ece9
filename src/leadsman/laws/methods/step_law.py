"""Best learning rate and batch size as powers of model size and data.

    lr*(N, D)    = c * N^a * D^b          published: 1.79 N^-0.713 D^0.307
    batch*(D)    = d * D^e                published: 0.58 D^0.571, in tokens

Li et al., "Predictable Scale: Part I" (2025, catalogue 161, "Step Law"). N is the non-embedding
parameter count, D the tokens. Each optimum is read off a sweep by :func:`optima` (the loss is
convex in log lr and log batch), and the power law runs through the optima.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import column, columns
from leadsman.methods import Paper

PUBLISHED = {"lr": (1.79, -0.713, 0.307), "batch_tokens": (0.58, 0.0, 0.571)}


class StepLaw(ParametricLaw):
    """Best learning rate or batch size: a power of the model's size times a power of the data.

    Fit it on optima (``y="lr"`` or ``y="batch_tokens"``), from :func:`optima` if you have sweeps.

    Args:
        with_params: whether N takes part; the published batch law does without.
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``tokens``, and ``params`` if ``with_params``.

    Raises:
        InputError: a column is missing or not positive.
        DesignError: fewer optima than parameters.
    """

    name = "step-law"
    paper = Paper(
        "Predictable Scale: Part I -- Optimal Hyperparameter Scaling Law in Large Language Model "
        "Pretraining",
        2025,
        161,
    )
    inputs = ("params", "tokens")
    terms: ClassVar = (
        Parameter("c", positive=True),
        Parameter("b", -3.0, 3.0),
        Parameter("a", -3.0, 3.0),
    )

    def __init__(self, *, with_params: bool = True, delta: float | None = None) -> None:
        self.with_params = with_params
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """``tokens`` and, if asked, ``params``."""
        return columns(frame, ("params", "tokens") if self.with_params else ("tokens",))

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """The power of N only where it takes part."""
        return self.terms if self.with_params else self.terms[:2]

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """c N^a D^b."""
        power = np.log(theta["c"]) + theta["b"] * np.log(x["tokens"])
        if self.with_params:
            power = power + theta["a"] * np.log(x["params"])
        return np.asarray(np.exp(power))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Ordinary least squares on logs, which is the answer when nothing is an outlier."""
        design = [np.ones(len(y)), np.log(x["tokens"])]
        design += [np.log(x["params"])] if self.with_params else []
        found, *_ = np.linalg.lstsq(np.stack(design, axis=1), np.log(y), rcond=None)
        return {
            "c": np.exp(found[:1]),
            "b": found[1:2],
            "a": found[2:] if self.with_params else 0.0,
        }


def published(params: Floats, tokens: Floats, *, of: str = "lr") -> Floats:
    """The paper's own estimate of the best ``lr`` or ``batch_tokens``, shape (n,).

    >>> f"{float(published(np.array(1e9), np.array(1e11))):.2e}"
    '1.63e-03'
    """
    if of not in PUBLISHED:
        raise MethodError(f"the paper gives {' and '.join(PUBLISHED)}, not {of!r}")
    factor, size, data = PUBLISHED[of]
    return np.asarray(factor * params**size * tokens**data)


def optima(
    sweep: pl.DataFrame,
    *,
    over: str = "lr",
    by: Sequence[str] = ("params", "tokens"),
    y: str = "loss",
) -> pl.DataFrame:
    """The best ``over`` at each setting: the vertex of a parabola in its log around the lowest run.

    Args:
        sweep: runs; several values of ``over`` at each setting of ``by``. Where runs share a value
            (a second hyperparameter was swept too) the best of them counts.
        over: the hyperparameter, positive.
        by: columns that define a setting.
        y: the loss.

    Returns:
        One row a setting: ``by``, ``over`` and ``y`` at the optimum.

    Raises:
        DesignError: a setting has fewer than three values, or its best is the first or last.
    """
    rows = []
    for key, runs in sweep.group_by(*by, maintain_order=True):
        best = runs.group_by(over).agg(pl.col(y).min()).sort(over)
        values, losses = np.log(column(best, over)), column(best, y)
        place = ", ".join(f"{name} {value:.4g}" for name, value in zip(by, key))
        if len(values) < 3:
            raise DesignError(f"{place}: {len(values)} values of {over}; at least 3 are needed")
        low = int(np.argmin(losses))
        if low in (0, len(values) - 1):
            side = "smaller" if low == 0 else "larger"
            raise DesignError(
                f"{place}: the best {over} is at the edge of the sweep; add {side} ones"
            )
        around = slice(low - 1, low + 2)
        bend, slope, level = np.polyfit(values[around] - values[low], losses[around], 2)
        shift = -slope / (2 * bend)
        rows.append(
            {
                **dict(zip(by, key)),
                over: float(np.exp(values[low] + shift)),
                y: float(level - slope**2 / (4 * bend)),
            }
        )
    return pl.DataFrame(rows)
