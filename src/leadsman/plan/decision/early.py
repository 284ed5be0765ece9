"""Final results from the beginning of runs, learned on runs that were finished.

A Gaussian process (scikit-learn) from features of the first part of a run (its loss, how fast it
falls, its score) to the final result. What falls fastest early is often not best late; the finished
runs of other settings show how one leads to the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from leadsman.errors import DesignError
from leadsman.laws.table import column
from leadsman.plan.decision.space import Floats

LEAST_HISTORY = 8


class EarlyBelief:
    """Joint draws of final results from early features.

    Args:
        finished: finished runs, with the features and ``y``.
        features: columns known early.
        y: final result.
        worlds: joint draws.
        seed: of the draws.

    Raises:
        DesignError: fewer than eight finished runs.
        InputError: a column is missing or holds no number.
    """

    def __init__(
        self,
        finished: pl.DataFrame,
        features: Sequence[str],
        *,
        y: str,
        worlds: int = 1000,
        seed: int = 0,
    ) -> None:
        if len(finished) < LEAST_HISTORY:
            raise DesignError(
                f"{len(finished)} finished runs are too few to learn how early results lead to "
                f"final ones; {LEAST_HISTORY} are the least"
            )
        self.y, self.worlds, self._seed, self._features = y, worlds, seed, list(features)
        known = self._table(finished)
        self._centre, self._width = known.mean(axis=0), known.std(axis=0)
        self._width[self._width == 0] = 1.0
        kernel = ConstantKernel(1.0) * RBF(np.full(len(features), 2.0)) + WhiteKernel(0.05)
        self._model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
        with warnings.catch_warnings():  # a length scale at its bound is a fine answer
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(
                (known - self._centre) / self._width, column(finished, y, positive=False)
            )

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Final results, the noise of a single run included, shape (worlds, n).

        Worlds come in pairs on both sides of the mean, so that their mean is the expected result.
        """
        asked = (self._table(points) - self._centre) / self._width
        mean, covariance = self._model.predict(asked, return_cov=True)
        root = np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) * np.eye(len(mean)))
        half = (self.worlds + 1) // 2
        z = np.random.default_rng([self._seed, 10]).standard_normal((half, len(mean)))
        values = mean + np.concatenate([z, -z])[: self.worlds] @ root.T
        return np.asarray(values if worlds is None else values[worlds])

    def _table(self, runs: pl.DataFrame) -> Floats:
        return np.column_stack([column(runs, name, positive=False) for name in self._features])
