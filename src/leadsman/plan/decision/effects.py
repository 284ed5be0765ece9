"""How settings beside scale move a result: a quadratic on the log result, learned from runs.

    log y = law(scale) + w . phi(z),    w ~ N(0, 1 / lambda)

with ``z`` the settings (log where the space is log) and ``phi`` their linear terms, squares,
products, and products with log params and log tokens. ``z`` is zero at the median of the runs:
where most runs hold a setting at one value and a few depart from it, these few alone tell its
effect, and a misfit of the law cannot pass for one. Its product with scale is zero at the scale of
the runs that depart, so what is measured at one size is carried to others as it is, with a spread
that grows. The best learning rate and batch are known to move with the length of a run: their
squares are of the distance from a best value that moves by a published power of the tokens, and the
products with log tokens carry what the runs say otherwise. Where a setting was tried at one length
only, a move takes from what was measured and never adds to it: one unlucky run makes a curvature
that, carried to a run a hundred times as long, would promise what no run has shown. The effect of
which text is read
(shares, the rate of a selection) moves little. Noise and ``lambda`` maximise the evidence (MacKay
1992; scikit-learn's BayesianRidge), so settings that a few runs hardly tell apart keep wide, small
effects. A setting that never varies in the runs has no effect that could be known: it is held at
the runs' value.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.linear_model import BayesianRidge

from leadsman.plan.decision.space import Floats, Space, Worlds

FLAT = 1e-9

SEVERAL_LENGTHS = np.log(1.5)
"""Range of log tokens from which a setting counts as tried at several lengths."""

DRIFT = {"lr": -0.4, "batch_tokens": 0.57}
"""Power of the tokens with which the best value of a setting moves, as published.

Power Scheduler (2024, catalogue 192) finds tokens^-0.51 for the rate at a fixed batch. Step Law
(2025, catalogue 161) finds tokens^0.571 for the batch and tokens^0.307 for the rate at that batch,
so about tokens^-0.26 at a fixed one; the power of the rate lies between the two.
"""

TEXT = ("add.", "mix.", "keep")
"""What columns that say which text is read begin with: shares, and the rate of a selection."""
TEXT_DRIFT = 0.1
"""Spread of the change of the text's effect for an e-fold of scale, of that of the effect itself.

Published runs have 0.04 to 0.08 (benchmarks/plan/share_drift.py).
"""


class SettingsEffect:
    """The effect of every setting of a space that the runs vary.

    Args:
        space: says which settings there are and on which scale.
        skip: columns that laws or series answer for.

    Attributes:
        constant: value at which a setting must be held because no run varies it.
        prior_sd: spread of one coefficient before the runs: how large effects are here.
    """

    prior_sd = 0.0

    def __init__(self, space: Space, *, skip: Sequence[str]) -> None:
        self._space, self._skip = space, set(skip)
        self.constant: dict[str, float] = {}
        self._numbers: list[str] = []
        self._names: dict[str, list[str]] = {}
        self._drifting: set[str] = set()
        self._several_lengths: set[str] = set()

    @property
    def varies(self) -> bool:
        """Whether there is any effect."""
        return bool(self._numbers or self._names)

    def fit(
        self, runs: pl.DataFrame, residual: Floats, *, worlds: int, rng: np.random.Generator
    ) -> None:
        """Learn from log results less the law's, shape (n,)."""
        self._worlds = worlds
        self._choose(runs)
        self._place(runs)
        if not self.varies:
            return
        ridge = self._fitted(runs, residual)
        squares = ridge.coef_[len(self._numbers) :]
        self._drifting = {
            name
            for name, curvature in zip(self._numbers, squares, strict=False)
            if name in DRIFT
            and self._space.dimensions[name].scale == "log"
            and curvature > 0  # else there is no best value that could move
        }
        ridge = self._fitted(runs, residual) if self._drifting else ridge
        self._coefficients = ridge.coef_
        self.prior_sd = float(1 / np.sqrt(ridge.lambda_))
        root = np.linalg.cholesky(ridge.sigma_ + 1e-15 * np.eye(len(ridge.coef_)))
        self._draws = ridge.coef_ + rng.standard_normal((worlds, len(root))) @ root.T

    def _fitted(self, runs: pl.DataFrame, residual: Floats) -> BayesianRidge:
        self._features_mean = np.zeros(1)
        self._features_mean = self._features(runs).mean(axis=0)
        ridge = BayesianRidge(fit_intercept=False, max_iter=100)
        return ridge.fit(self._features(runs), residual - residual.mean())

    def mean(self, points: pl.DataFrame) -> Floats:
        """Expected effect on the log result, shape (n,)."""
        if not self.varies:
            return np.zeros(len(points))
        held = self._features(points, moved=False) @ self._coefficients
        return np.asarray(held + self._moves(points, self._coefficients))

    def draws(self, points: pl.DataFrame, pick: Worlds) -> Floats:
        """Draws of the effect, shape (worlds, n)."""
        if not self.varies:
            return np.zeros((len(np.arange(self._worlds)[pick]), len(points)))
        draws = self._draws[pick]
        held = draws @ self._features(points, moved=False).T
        return np.asarray(held + self._moves(points, draws))

    def _choose(self, runs: pl.DataFrame) -> None:
        self._numbers, self._names, self.constant = [], {}, {}
        for name, dimension in self._space.dimensions.items():
            if name in self._skip or name not in runs.columns:
                continue
            if dimension.choices is not None:
                seen = set(runs[name].to_list())
                known = [each for each in dimension.choices if each in seen]
                if len(known) > 1:
                    self._names[name] = known
            elif np.ptp(self._scaled(name, runs)) > FLAT:
                self._numbers.append(name)
            else:
                self.constant[name] = float(runs[name][0])

    def _place(self, runs: pl.DataFrame) -> None:
        self._centre, self._width, self._at = {}, {}, {}
        self._several_lengths.clear()
        self._scale_columns = [name for name in ("params", "tokens") if name in runs.columns]
        logs = self._logs(runs)
        self._scale_width: dict[str, float] = {
            name: float(each.std()) or 1.0 for name, each in logs.items()
        }
        for name in self._numbers:
            scaled = self._scaled(name, runs)
            self._centre[name] = float(np.median(scaled))
            departs = np.abs(scaled - self._centre[name]) > FLAT
            self._width[name] = float(np.sqrt(((scaled - self._centre[name])[departs] ** 2).mean()))
            self._at[name] = {key: float(each[departs].mean()) for key, each in logs.items()}
            if "tokens" in logs and np.ptp(logs["tokens"][departs]) > SEVERAL_LENGTHS:
                self._several_lengths.add(name)
        for name in self._names:
            usual = runs[name].mode().sort()[0]
            departs = (runs[name] != usual).to_numpy()
            self._at[name] = {key: float(each[departs].mean()) for key, each in logs.items()}
        self._drifting.clear()

    def _scaled(self, name: str, points: pl.DataFrame) -> Floats:
        values = points[name].to_numpy().astype(np.float64)
        dimension = self._space.dimensions[name]
        return np.log(values) if dimension.scale == "log" else values

    def _drift(self, name: str, log_tokens: Floats) -> Floats | float:
        """How far the best value has moved from where it was measured, where there is a best."""
        if name not in self._drifting:
            return 0.0
        return DRIFT[name] * (log_tokens - self._at[name]["tokens"]) / self._width[name]

    def _moves(self, points: pl.DataFrame, coefficients: Floats) -> Floats:
        """What it changes, settings held, that best values move.

        Args:
            points: settings, n of them.
            coefficients: shape (..., k).

        Returns:
            Shape (..., n).
        """
        total = np.zeros((*coefficients.shape[:-1], len(points)))
        for name in self._drifting & set(points.columns):
            square = len(self._numbers) + self._numbers.index(name)
            away = -2 * self._linear(name, points) * self._drift(name, self._logs(points)["tokens"])
            change = coefficients[..., square, None] * away
            total += change if name in self._several_lengths else np.maximum(change, 0)
        return total

    def _reach(self, name: str, key: str) -> float:
        """How fast what is measured at one scale stops to hold at others."""
        return TEXT_DRIFT if name.startswith(TEXT) else 1 / self._scale_width[key]

    def _linear(self, name: str, points: pl.DataFrame) -> Floats:
        return (self._scaled(name, points) - self._centre[name]) / self._width[name]

    def _logs(self, points: pl.DataFrame) -> dict[str, Floats]:
        return {name: np.log(points[name].to_numpy().astype(float)) for name in self._scale_columns}

    def _features(self, points: pl.DataFrame, *, moved: bool = True) -> Floats:
        linear = {name: self._linear(name, points) for name in self._numbers}
        logs = self._logs(points)
        columns = [*linear.values()]
        for name, each in linear.items():
            best = self._drift(name, logs["tokens"]) if moved and "tokens" in logs else 0.0
            columns.append((each - best) ** 2 - best**2)
        columns += [a * b for a, b in itertools.combinations(linear.values(), 2)]
        columns += [
            each * (log - self._at[name][key]) * self._reach(name, key)
            for name, each in linear.items()
            for key, log in logs.items()
        ]
        for name, known in self._names.items():
            values = points[name].to_numpy()
            for value in known:
                chosen = (values == value).astype(np.float64)
                columns.append(chosen)
                if name.startswith(TEXT):
                    columns += [
                        chosen * (log - self._at[name][key]) * TEXT_DRIFT
                        for key, log in logs.items()
                    ]
        return np.stack(columns, axis=1) - self._features_mean
