"""How much each candidate counts, from how it did at the rolling origins.

Each hidden run's error is set against the median candidate's there, which makes origins and groups
of different difficulty comparable and lets a candidate miss some. The mean absolute log error S_m
(the CRPS of a point forecast) relative to the median candidate then gives

    w_m ~ prior_m * S_m^(-temper * k)        k: number of origins that score it

the likelihood of Laplace errors of unknown scale, tempered because runs at one origin err together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.competition.evidence import Block

TEMPER = 0.6
LEAST_ERROR = 1e-4
"""Log error below which candidates are equally good."""


def relative_errors(block: Block, reach: float) -> Floats:
    """Log error S of each candidate at one origin, relative to the median one's, shape (m,).

    Zero for a candidate the origin is too small for.

    Args:
        block: the origin.
        reach: log distance that will be asked about; runs at a like distance count more.
    """
    sizes = np.abs(block.log_pred - block.log_y) + LEAST_ERROR
    likeness = np.exp(-0.5 * ((block.distance - reach) / 1.5) ** 2) + 1e-3
    mean = (sizes * likeness).sum(axis=1) / likeness.sum()
    if not np.isfinite(mean).any():
        return np.zeros(len(mean))
    share = float(np.clip(likeness.max(), 0.2, 1.0))
    return np.asarray(np.nan_to_num(share * np.log(mean / np.nanmedian(mean)), nan=0.0))


def law_weights(errors: Sequence[Floats], prior: Floats, *, temper: float = TEMPER) -> Floats:
    """Weights of the candidates, shape (m,), summing to 1.

    Args:
        errors: of each origin, see :func:`relative_errors`; may be empty.
        prior: weights before any run is seen, shape (m,).
        temper: how much one origin counts.
    """
    log_weights = np.log(prior) - temper * np.sum([np.zeros(len(prior)), *errors], axis=0)
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
