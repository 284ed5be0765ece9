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

TEMPER = 1.0
LEAST_ERROR = 1e-4
"""Log error below which candidates are equally good."""


def law_weights(
    blocks: Sequence[Block], prior: Floats, *, reach: Floats, temper: float = TEMPER
) -> Floats:
    """Weights of the candidates, shape (m,), summing to 1.

    Args:
        blocks: rolling origins, of all groups.
        prior: weights before any run is seen, shape (m,).
        reach: log distances that will be asked about; origins' runs at like distances count more.
        temper: how much one origin says.
    """
    relative: list[Floats] = []
    shares: list[float] = []
    target = float(np.median(reach)) if len(reach) else 0.0
    for block in blocks:
        sizes = np.abs(block.log_pred - block.log_y) + LEAST_ERROR
        known = np.isfinite(sizes).any(axis=0)
        if not known.any():
            continue
        likeness = np.exp(-0.5 * ((block.distance[known] - target) / 1.5) ** 2) + 1e-3
        mean = (sizes[:, known] * likeness).sum(axis=1) / likeness.sum()
        relative.append(np.log(mean / np.nanmedian(mean)))
        shares.append(float(np.clip(likeness.max(), 0.2, 1.0)))
    log_weights = np.log(prior)
    if relative:
        table = np.stack(relative)
        share = np.asarray(shares)[:, None]
        # An origin too small for a candidate says nothing about it.
        log_weights = log_weights - temper * np.nansum(table * share, axis=0)
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
