"""Loss after fine-tuning on all data, from a line through the power phase of a few small subsets.

    log L(D) = a - b log D,   over the largest sizes only

Lin et al., "Selecting Large Language Model to Fine-tune via Rectified Scaling Law" (2024), whose
selection algorithm this is ("Accept then Stop"): begin with the largest sizes, accept ever smaller
ones while they lie on the line, stop at the first that does not, because there the pre-power phase
begins. Made for ranking models by their loss at a size a few doublings away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.table import column
from leadsman.methods import Paper


class AcceptThenStop(Law):
    """A straight line in log loss over log data through the power phase alone.

    Args:
        accept: sizes accepted unseen, the largest ones, with all their replicates.
        stop: standardised residual at which a smaller size is refused (the paper's 5); 0 keeps
            to the first ``accept`` sizes, which is right when loss is measured far more finely
            than the curve bends.

    Columns: ``tokens`` (fine-tuning data, tokens or examples).

    Raises:
        InputError: the column is missing or not positive.
        DesignError: fewer different sizes than ``accept``.
        MethodError: ``accept`` below 3 or ``stop`` below 0.
    """

    name = "accept-then-stop"
    paper = Paper("Selecting Large Language Model to Fine-tune via Rectified Scaling Law", 2024)
    inputs = ("tokens",)

    def __init__(self, *, accept: int = 3, stop: float = 5.0) -> None:
        if accept < 3 or stop < 0:
            raise MethodError(
                f"accept must be at least 3 and stop at least 0, not {accept}, {stop}"
            )
        self.accept = accept
        self.stop = stop

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedLine:
        """Fit on one model's losses at several data sizes."""
        tokens, losses = column(runs, "tokens"), column(runs, y)
        sizes = np.unique(tokens)
        if len(sizes) < self.accept:
            raise DesignError(
                f"accept-then-stop needs {self.accept} data sizes, not {len(sizes)}; "
                f"add runs at other sizes"
            )
        order = np.argsort(-tokens, kind="stable")
        x, target = np.log(tokens[order]), np.log(losses[order])
        rows = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)[order]
        used = int((tokens >= sizes[-self.accept]).sum())
        while used < len(x):
            line = np.polyfit(x[:used], target[:used], 1, w=np.sqrt(rows[:used]))
            scatter = np.std(target[:used] - np.polyval(line, x[:used]))
            if abs(target[used] - np.polyval(line, x[used])) > self.stop * scatter:
                break
            used += 1
        return FittedLine(self, y, x[:used], target[:used], rows[:used])


def best_law(curves: Sequence[pl.DataFrame], laws: Sequence[Law], *, reach: float) -> Law:
    """The law that would have predicted the largest size seen from much smaller ones.

    Rolling origin inside the runs at hand: each curve is cut ``reach`` times below its largest
    size, and the laws are compared by their mean absolute log error there, over all curves.

    Args:
        curves: one table a model, with ``tokens`` and ``loss``.
        laws: to choose from; the same law with other settings is another.
        reach: how many times beyond the data the forecast will go.

    Raises:
        DesignError: no law can be fitted below the cut; says how many sizes are left.
    """
    errors = np.full(len(laws), np.inf)
    for k, law in enumerate(laws):
        off = []
        try:
            for curve in curves:
                largest = float(column(curve, "tokens").max())
                cut = curve.filter(pl.col("tokens") <= largest / reach)
                held = curve.filter(pl.col("tokens") == largest)
                off.append(np.log(law.fit(cut).curve(held) / column(held, "loss")))
        except DesignError:
            continue
        errors[k] = np.mean(np.abs(np.concatenate(off)))
    if not np.isfinite(errors).any():
        raise DesignError(
            f"{len(cut)} data sizes below 1/{reach:g} of the largest are too few to compare "
            f"{len(laws)} laws; add runs at smaller sizes"
        )
    return laws[int(np.argmin(errors))]


class FittedLine(FittedLaw):
    """A line through the power phase; ``used`` sizes lie on it."""

    def __init__(self, law: AcceptThenStop, y: str, x: Floats, target: Floats, rows: Floats):
        self.law, self.y, self.used = law, y, len(x)
        self._centre = float(np.average(x, weights=rows))
        design = np.stack([np.ones(len(x)), x - self._centre], axis=1) * np.sqrt(rows)[:, None]
        self._gram = np.linalg.inv(design.T @ design)
        self._line = self._gram @ design.T @ (target * np.sqrt(rows))
        wrong = target * np.sqrt(rows) - design @ self._line
        self._freedom = len(x) - 2
        self.noise = float(np.sqrt(np.sum(wrong**2) / self._freedom))

    def parameters(self) -> dict[str, float]:
        """Amplitude ``A`` and exponent ``b`` of L = A D^-b."""
        level = self._line[0] - self._line[1] * self._centre
        return {"A": float(np.exp(level)), "b": float(-self._line[1])}

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the loss, shape (n,)."""
        x = np.log(column(points, "tokens")) - self._centre
        return np.asarray(np.exp(self._line[0] + self._line[1] * x))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the line (Student's t, as its scatter is known from few sizes)."""
        x = np.log(column(points, "tokens")) - self._centre
        rng = np.random.default_rng(seed)
        # More than thrice the scatter measured is not believed, however few the sizes.
        size = np.sqrt(self._freedom / rng.chisquare(self._freedom, draws)).clip(max=3.0)
        spread = np.linalg.cholesky(self._gram) @ rng.standard_normal((2, draws))
        lines = self._line[:, None] + self.noise * size * spread
        return np.asarray(np.exp(lines[0, :, None] + lines[1, :, None] * x))
