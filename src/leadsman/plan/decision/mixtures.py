"""Belief over mixtures at one size: laws of mixtures compete by the choices they would have made.

Laws that read ``mix.*`` (RegMix's trees, the exponential law) and a quadratic in the roots of the
weights are cross-validated on the runs: in each fold, what is lost by taking the law's best of the
held-out mixtures. The law that lost least is fitted on all runs. What carries over to a larger size
is the order (Liu et al. 2025, catalogue 197), so regret, not error, decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import polars as pl
from sklearn.linear_model import BayesianRidge

from leadsman.errors import DesignError, LeadsmanError
from leadsman.laws.base import Law
from leadsman.laws.methods.regmix import RegMix
from leadsman.laws.table import mixture_columns
from leadsman.plan.decision.space import Floats
from leadsman.registry import method

FOLDS = 3
HELD_SETS = 40
HELD_SIZE = 12


class MixtureBelief:
    """Joint draws of a result over mixtures, from runs of one size.

    Args:
        runs: with columns ``mix.SOURCE``.
        y: column to predict.
        worlds: joint draws.
        seed: of folds and draws.

    Attributes:
        law: name of the winner.
        losses: mean loss of choice of each, in logs.

    Raises:
        DesignError: no law of mixtures can be fitted on these runs.
    """

    def __init__(self, runs: pl.DataFrame, *, y: str, worlds: int = 1000, seed: int = 0) -> None:
        self.y, self.worlds, self._seed = y, worlds, seed
        self._sources = mixture_columns(runs)
        self.losses = self._compete(runs)
        if not self.losses:
            raise DesignError("no law of mixtures can be fitted on these runs; add more mixtures")
        self.law = min(self.losses, key=lambda name: self.losses[name])
        self._fitted = _fit(self.law, runs, y, self._sources, seed)

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Results without the noise of a single run, shape (worlds, n)."""
        values = self._fitted(points, self.worlds, self._seed)
        return values if worlds is None else values[worlds]

    def _compete(self, runs: pl.DataFrame) -> dict[str, float]:
        rng = np.random.default_rng([self._seed, 5])
        folds = rng.permutation(len(runs)) % FOLDS
        log_y = np.log(runs[self.y].to_numpy().astype(np.float64))
        losses = {}
        for name in ("regmix", "exponential-mixing", "quadratic"):
            held = np.empty(len(runs))
            try:
                for fold in range(FOLDS):
                    out = folds == fold
                    kept = runs.filter(~pl.Series(out))
                    fitted = _fit(name, kept, self.y, self._sources, self._seed, trial=True)
                    held[out] = np.log(fitted(runs.filter(pl.Series(out)), 50, 0)).mean(axis=0)
            except LeadsmanError:
                continue
            sets = np.random.default_rng([self._seed, 6])
            lost = []
            for _ in range(HELD_SETS):
                rows = sets.choice(len(runs), size=min(HELD_SIZE, len(runs)), replace=False)
                lost.append(log_y[rows][held[rows].argmin()] - log_y[rows].min())
            losses[name] = float(np.mean(lost))
        return losses


Fitted = Callable[[pl.DataFrame, int, int], Floats]


def _fit(
    name: str,
    runs: pl.DataFrame,
    y: str,
    sources: list[str],
    seed: int,
    *,
    trial: bool = False,
) -> Fitted:
    """A function (points, draws, seed) -> (draws, n) of a fitted law or of the quadratic."""
    if name == "quadratic":
        return _Quadratic(runs, y, sources)
    cls = method("law", name)
    assert issubclass(cls, Law)
    law = RegMix(ensemble=1) if trial and cls is RegMix else cls()  # a trial needs no spread
    fitted = law.fit(runs.select(*sources, y), y=y, seed=seed)
    return lambda points, draws, seed: fitted.curve_draws(points, draws=draws, seed=seed)


class _Quadratic:
    """Bayesian linear regression of the log result on weights, their roots, and products."""

    def __init__(self, runs: pl.DataFrame, y: str, sources: list[str]) -> None:
        self._sources = sources
        self._ridge = BayesianRidge()
        self._ridge.fit(self._features(runs), np.log(runs[y].to_numpy().astype(np.float64)))
        sigma = self._ridge.sigma_
        self._root = np.linalg.cholesky(sigma + 1e-12 * np.eye(len(sigma)))

    def __call__(self, points: pl.DataFrame, draws: int, seed: int) -> Floats:
        z = np.random.default_rng([seed, 8]).standard_normal((draws, len(self._root)))
        features = self._features(points)
        centre = self._ridge.predict(features)
        return np.asarray(np.exp(centre + z @ self._root.T @ (features - self._ridge.X_offset_).T))

    def _features(self, points: pl.DataFrame) -> Floats:
        weights = np.column_stack([points[name].to_numpy() for name in self._sources])
        roots = np.sqrt(weights)
        pairs = itertools.combinations(range(weights.shape[1]), 2)
        return np.column_stack([weights, roots, *(roots[:, i] * roots[:, j] for i, j in pairs)])
