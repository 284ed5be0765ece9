"""Kaplan with the critical batch: loss in model size, steps and batch size.

    L = (Nc / N)^alphaN + (Sc / Smin)^alphaS
    Smin = S / (1 + Bcrit / B),    Bcrit = Bstar / L^(1 / alphaB)

N ``params`` (non-embedding), B ``batch_tokens``, S = ``tokens`` / B optimizer steps; Bcrit is the
batch at which training takes twice the fewest steps possible and twice the fewest tokens. Kaplan
et al. 2020, "Scaling Laws for Neural Language Models", equations 1.4 and 1.6; estimated step by
step in "Unraveling the Mystery of Scaling Laws: Part I". L stands on both sides: the right one
falls with it, so there is one solution, found by Newton's method on log L.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting.identify import check_design
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.laws.table import columns
from leadsman.methods import Paper

_NEWTON_STEPS = 30


class KaplanBatch(ParametricLaw):
    """Loss in model size, optimizer steps and batch size, with a critical batch.

    Args:
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``params``, ``tokens``, ``batch_tokens``; runs must differ in all three.

    Raises:
        InputError: a column is missing or not positive.
        DesignError: fewer than seven runs, or inputs that never change or change only together.
    """

    name = "kaplan-batch"
    paper = Paper("Unraveling the Mystery of Scaling Laws: Part I", 2024, 149)
    inputs = ("params", "tokens", "batch_tokens")
    terms: ClassVar = (
        Parameter("Nc", positive=True),
        Parameter("alphaN", 0.01, 1.0),
        Parameter("Sc", positive=True),
        Parameter("alphaS", 0.02, 3.0),
        Parameter("Bstar", 1.0, 1e15, positive=True),
        Parameter("alphaB", 0.05, 2.0),
    )

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """Size, tokens, and tokens a batch."""
        return columns(frame, self.inputs)

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """All of them; refuses runs that cannot show the batch's effect."""
        check_design(self.name, x, np.ones(len(x["params"])))
        return self.terms

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """Solves L = (Nc / N)^alphaN + (Sc / Smin(L))^alphaS."""
        log_steps = np.log(x["tokens"]) - np.log(x["batch_tokens"])
        size = theta["alphaN"] * (np.log(theta["Nc"]) - np.log(x["params"]))
        data = theta["alphaS"] * (np.log(theta["Sc"]) - log_steps)
        excess = np.log(theta["Bstar"]) - np.log(x["batch_tokens"])
        log_loss = np.logaddexp(size, data)
        # Convex and falling in log L: Newton closes in from below, whatever the start.
        for _ in range(_NEWTON_STEPS):
            ratio = excess - log_loss / theta["alphaB"]
            slowed = data + theta["alphaS"] * np.logaddexp(0.0, ratio)
            total = np.logaddexp(size, slowed)
            slope = -np.exp(slowed - total) * theta["alphaS"] / theta["alphaB"]
            slope = slope * np.exp(ratio - np.logaddexp(0.0, ratio))
            step = (total - log_loss) / (1.0 - slope)
            log_loss = log_loss + step
            if np.all(np.abs(step) < 1e-9):
                break
        return np.asarray(np.exp(log_loss))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Shares of the two terms in the middle run, and critical batches around those used."""
        loss, size = np.median(y), np.median(x["params"])
        steps, batch = np.median(x["tokens"] / x["batch_tokens"]), np.median(x["batch_tokens"])
        start = grid(
            share=[0.3, 0.6, 0.9],
            alphaN=[0.07, 0.2],
            alphaS=[0.4, 0.9],
            alphaB=[0.15, 0.3],
            critical=batch * np.array([0.3, 3.0]),
        )
        share, critical = start.pop("share"), start.pop("critical")
        slowed = 1 + critical / batch
        return start | {
            "Nc": size * (share * loss) ** (1 / start["alphaN"]),
            "Sc": steps / slowed * ((1 - share) * loss) ** (1 / start["alphaS"]),
            "Bstar": critical * loss ** (1 / start["alphaB"]),
        }


def critical_batch(
    fitted: FittedLaw, loss: Floats, *, draws: int = 200, seed: int = 0
) -> tuple[Floats, Floats]:
    """Critical batch in tokens at each loss (n,): best estimate (n,), and draws (draws, n)."""
    best, drawn = fitted.parameters(), fitted.parameter_draws(draws=draws, seed=seed)
    log_loss = np.log(loss)
    return (
        np.asarray(best["Bstar"] * np.exp(-log_loss / best["alphaB"])),
        drawn["Bstar"][:, None] * np.exp(-log_loss / drawn["alphaB"][:, None]),
    )
