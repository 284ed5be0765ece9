"""Loss on a domain from the mixture, by gradient-boosted trees.

Liu et al., "RegMix: Data Mixture as Regression for Language Model Pre-training" (2025, catalogue
197): train hundreds of tiny models on random mixtures, regress their losses on the mixture, and
trust the *ranking* of mixtures at a larger size. No equation: an average of boosted trees. Loss
in nats per token (or bits per byte) on one domain; the level is that of the small runs, so what
carries over to larger ones is the order.
"""

from __future__ import annotations

import lightgbm
import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.methods.exponential_mixing import mixture
from leadsman.laws.table import column, mixture_columns
from leadsman.methods import Paper

MINIMUM_RUNS = 20
_FOLDS = 5


class RegMix(Law):
    """Gradient-boosted regression from mixture weights to the log of the loss.

    Args:
        rounds: boosting rounds.
        learning_rate: of the boosting.
        leaves: of each tree.
        ensemble: boosters, each on its own bootstrap sample; their spread is the uncertainty.

    Columns: ``mix.SOURCE``, one for each source; rows add up to one.

    Raises:
        InputError: no mixture columns, or a row that does not add up to one.
        DesignError: fewer than twenty runs.
        MethodError: a hyperparameter below one, or a learning rate not above zero.
    """

    name = "regmix"
    paper = Paper("RegMix: Data Mixture as Regression for Language Model Pre-training", 2025, 197)
    inputs = ("mix.*",)

    def __init__(
        self,
        *,
        rounds: int = 300,
        learning_rate: float = 0.05,
        leaves: int = 15,
        ensemble: int = 10,
    ) -> None:
        if min(rounds, ensemble) < 1 or leaves < 2 or not learning_rate > 0:
            raise MethodError(
                "rounds and ensemble must be at least 1, leaves 2, learning_rate above zero"
            )
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.ensemble = ensemble

    def reads(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The shares."""
        return tuple(mixture_columns(frame))

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedRegMix:
        """Fit on runs of one size that differ in their mixtures."""
        sources = tuple(mixture_columns(runs))
        shares = np.stack(list(mixture(runs, sources).values()), axis=1)
        target = np.log(column(runs, y))
        if len(target) < MINIMUM_RUNS:
            raise DesignError(
                f"regmix needs {MINIMUM_RUNS} runs on different mixtures, not {len(target)}; "
                f"with fewer use exponential-mixing"
            )
        rows = np.ones(len(target)) if weights is None else np.asarray(weights, np.float64)
        rng = np.random.default_rng(seed)
        folds = rng.permutation(len(target)) % _FOLDS
        held_out = np.empty(len(target))
        for fold in range(_FOLDS):
            out = folds == fold
            part = self._boosters(shares[~out], target[~out], rows[~out], seed)
            held_out[out] = part[0].predict(shares[out])
        noise = float(np.sqrt(np.average((held_out - target) ** 2, weights=rows)))
        boosters = self._boosters(shares, target, rows, seed, self.ensemble)
        return FittedRegMix(self, y, sources, boosters, noise)

    def _boosters(
        self, shares: Floats, target: Floats, weights: Floats, seed: int, ensemble: int = 1
    ) -> list[lightgbm.LGBMRegressor]:
        """One booster on all rows, then ``ensemble - 1`` more on bootstrap samples."""
        rng = np.random.default_rng([seed, 1])
        boosters = []
        for member in range(ensemble):
            counts = rng.multinomial(len(target), np.ones(len(target)) / len(target))
            booster = lightgbm.LGBMRegressor(
                n_estimators=self.rounds,
                learning_rate=self.learning_rate,
                num_leaves=self.leaves,
                min_child_samples=5,
                random_state=seed,
                n_jobs=1,
                verbose=-1,
            )
            used = weights * counts if member else weights
            boosters.append(booster.fit(shares, target, sample_weight=used))
        return boosters


class FittedRegMix(FittedLaw):
    """Boosted trees; ``noise`` is the cross-validated error of the log loss."""

    def __init__(
        self,
        law: RegMix,
        y: str,
        sources: tuple[str, ...],
        boosters: list[lightgbm.LGBMRegressor],
        noise: float,
    ) -> None:
        self.law, self.y, self.noise = law, y, noise
        self.sources, self._boosters = sources, boosters

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the loss at each mixture, shape (n,)."""
        return np.asarray(np.exp(self._logs(points).mean(axis=0)))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """The ensemble's members, each drawn many times, shape (draws, n)."""
        logs = self._logs(points)
        pick = np.random.default_rng(seed).integers(len(logs), size=draws)
        return np.asarray(np.exp(logs[pick]))

    def _logs(self, points: pl.DataFrame) -> Floats:
        shares = np.stack(list(mixture(points, self.sources).values()), axis=1)
        return np.stack([booster.predict(shares) for booster in self._boosters])
