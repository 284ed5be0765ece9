"""How a run will end, from its first part and from other runs that were seen to the end.

    final = g(early) + noise,   g ~ GP(0, s^2 (linear(early) + rbf(early)))

Runs of one task under different methods (adapters, learning rates, ranks) share how an early loss
translates into a final score, whatever their own curve's form. So the first evaluations of a run
are features, and finished runs of *other* methods teach the regression: a Gaussian process with a
linear trend, whose width and noise are chosen by leaving out one method at a time. A baseline of
ours, not a paper's; compare :mod:`leadsman.laws.methods.learning_curve`, which extrapolates one
curve.
"""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting.parametric import score_column
from leadsman.laws.table import column

MINIMUM_RUNS = 8
_WIDTHS = (0.1, 0.3, 1.0, 3.0)
_NOISES = (0.01, 0.03, 0.1, 0.3)


class CurveTransfer(Law):
    """Final score of a run from its first evaluations, learned on finished runs.

    Columns: ``early.*``, numbers known early on (see :func:`early_part`); those that are above
    zero throughout enter by their logs. ``group``, if present, labels runs of one method, which
    are left out together when the regression is tuned.

    Raises:
        InputError: no ``early.*`` column, or an empty cell in one.
        DesignError: fewer than eight runs, or fewer than three groups.
    """

    name = "curve-transfer"
    inputs = ("early.*",)
    output = "score"

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "score",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedCurveTransfer:
        """Fit on finished runs, one a row."""
        names = sorted(name for name in runs.columns if name.startswith("early."))
        if not names:
            raise InputError("no column early.*; make them from curves with early_part")
        if len(runs) < MINIMUM_RUNS:
            raise DesignError(f"curve-transfer needs {MINIMUM_RUNS} finished runs, not {len(runs)}")
        labels = runs["group"].to_list() if "group" in runs.columns else list(range(len(runs)))
        groups = np.unique(np.array([str(label) for label in labels]), return_inverse=True)[1]
        if groups.max() < 2:
            raise DesignError(
                f"curve-transfer learns from other methods; {groups.max() + 1} groups are too few"
            )
        raw = np.stack([column(runs, name, positive=False) for name in names], axis=1)
        logged = np.asarray((raw > 0).all(axis=0))
        features = np.where(logged, np.log(np.where(logged, raw, 1.0)), raw)
        centre, width = features.mean(axis=0), features.std(axis=0)
        spread = np.where(width > 0, width, 1.0).astype(np.float64)
        x = (features - centre) / spread
        target = score_column(runs, y)
        rows = np.ones(len(target)) if weights is None else np.asarray(weights, np.float64)
        scaler = (tuple(names), logged, centre, spread)
        return FittedCurveTransfer(self, y, scaler, x, target, groups, rows)


class FittedCurveTransfer(FittedLaw):
    """A Gaussian process; ``noise`` is the error on methods left out."""

    def __init__(
        self,
        law: CurveTransfer,
        y: str,
        scaler: tuple[tuple[str, ...], np.ndarray, Floats, Floats],
        x: Floats,
        target: Floats,
        groups: np.ndarray,
        rows: Floats,
    ) -> None:
        self.law, self.y, self._scaler, self._x = law, y, scaler, x
        self._level = float(np.average(target, weights=rows))
        off = target - self._level
        tried = [
            (_left_out(_kernel(x, x, width), off, groups, noise / rows), width, noise)
            for width, noise in itertools.product(_WIDTHS, _NOISES)
        ]
        (_, wrong), self._width, noise = min(tried, key=lambda each: each[0][0])
        self.noise = float(np.sqrt(np.average(wrong**2, weights=rows)))
        inverse = np.linalg.inv(_kernel(x, x, self._width) + np.diag(noise / rows))
        self._inverse, self._alpha = inverse, inverse @ off
        # Scale such that the errors on methods left out are as wide as they were.
        self._ratio = noise

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the final score, shape (n,)."""
        across = _kernel(self._features(points), self._x, self._width)
        return np.asarray(np.clip(self._level + across @ self._alpha, 0.0, 1.0))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the noise-free score, wider for runs unlike any seen; shape (draws, n)."""
        at = self._features(points)
        across = _kernel(at, self._x, self._width)
        prior = _kernel(at, at, self._width).diagonal()
        unknown = np.maximum(prior - np.einsum("nm,mk,nk->n", across, self._inverse, across), 0.0)
        typical = self._ratio + np.median(unknown)
        spread = self.noise * np.sqrt(unknown / typical)
        noise = np.random.default_rng(seed).standard_normal((draws, len(at)))
        return np.asarray(np.clip(self.curve(points) + spread * noise, 0.0, 1.0))

    def _features(self, points: pl.DataFrame) -> Floats:
        names, logged, centre, spread = self._scaler
        raw = np.stack([column(points, name, positive=False) for name in names], axis=1)
        if (raw[:, logged] <= 0).any():
            row = int(np.argmax((raw[:, logged] <= 0).any(axis=1)))
            raise InputError("a loss must be above zero, as in the finished runs", line=row + 1)
        return np.asarray(
            (np.where(logged, np.log(np.where(logged, raw, 1.0)), raw) - centre) / spread
        )


def early_part(
    curves: pl.DataFrame, *, columns: tuple[str, ...], until: float, x: str = "step"
) -> pl.DataFrame:
    """One row a run with its evaluations up to ``until`` as columns ``early.NAME.X``.

    Args:
        curves: rows of many curves: ``run``, the position ``x``, and ``columns``.
        columns: what to keep of each evaluation.
        until: last position that counts as early.
        x: the column with the position.

    Raises:
        MethodError: no evaluation lies that early.
        InputError: runs were evaluated at different positions.
    """
    first = curves.filter(pl.col(x) <= until).unique(["run", x], maintain_order=True)
    if first.is_empty():
        raise MethodError(f"no row has {x} up to {until:g}")
    wide = first.pivot(x, index="run", values=list(columns))
    if len(columns) == 1:
        wide = wide.rename({name: f"{columns[0]}_{name}" for name in wide.columns if name != "run"})
    holes = [name for name in wide.columns if wide[name].null_count()]
    if holes:
        raise InputError(f"not every run has {', '.join(holes)}; evaluate at the same positions")
    return wide.rename({name: f"early.{name}" for name in wide.columns if name != "run"})


def _kernel(one: Floats, two: Floats, width: float) -> Floats:
    """A linear trend and a smooth departure from it, both per feature."""
    size = one.shape[1]
    squares = np.maximum(
        (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T, 0.0
    )
    return np.asarray(0.5 + 4 * (one @ two.T) / size + np.exp(-width * squares / size))


def _left_out(
    kernel: Floats, off: Floats, groups: np.ndarray, noise: Floats
) -> tuple[float, Floats]:
    """Negative log density of each group given the others (scale profiled out), and its errors."""
    inverse = np.linalg.inv(kernel + np.diag(noise))
    alpha = inverse @ off
    wrong = np.empty(len(off))
    total = volume = 0.0
    for group in range(groups.max() + 1):
        at = np.flatnonzero(groups == group)
        block = inverse[np.ix_(at, at)]
        wrong[at] = np.linalg.solve(block, alpha[at])
        total += float(wrong[at] @ block @ wrong[at])
        volume -= float(np.linalg.slogdet(block)[1])
    return 0.5 * (len(off) * np.log(total / len(off)) + volume), wrong
