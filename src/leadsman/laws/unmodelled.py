"""Columns that move the results but that no law reads: a corpus, an optimizer, a learning rate.

Runs of one size and length that differ by such a column are not replicates. A law would go through
the middle of them and take their difference for noise. Whether they differ is asked within each
setting of the inputs: an analysis of variance of the log results there, by each further column of
few values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import f as f_distribution

from leadsman.laws.base import Floats
from leadsman.laws.table import column

MOST_VALUES = 20
"""Values of a column from which it names runs rather than settings."""

CLEAR = 1e-4
"""Probability below which a difference is not chance."""

LEAST_EFFECT = 1e-3
"""Log difference between the best and the worst value below which it does not matter."""


def unmodelled_warnings(runs: pl.DataFrame, *, y: str, x: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each column whose values differ clearly at the same inputs.

    Args:
        runs: finished runs, ``y`` above zero.
        y: column to predict.
        x: columns that laws or groups read.
    """
    inputs = [name for name in x if name in runs.columns]
    cells = runs.select(pl.struct(inputs).rank("dense")).to_series().to_numpy() if inputs else None
    if cells is None or len(np.unique(cells)) == len(runs):
        return ()
    logs = np.log(column(runs, y))
    said = []
    for name in runs.columns:
        if name in (y, *inputs) or runs[name].dtype.is_nested() or runs[name].null_count():
            continue
        values = runs[name].cast(pl.String).rank("dense").to_numpy()
        if not 2 <= values.max() <= min(MOST_VALUES, len(runs) // 2):
            continue
        effect = _effect(logs, cells, values)
        if effect >= LEAST_EFFECT:
            said.append(
                f"{name} has {values.max()} values, which differ by {effect:.1%} at the same "
                f"{' and '.join(inputs)}, and no law reads it: make it the group, or "
                f"keep the runs of one."
            )
    return tuple(said)


def _effect(logs: Floats, cells: np.ndarray, values: np.ndarray) -> float:
    """Range of the values' mean log results within cells, 0 where it may be chance."""
    shared = np.flatnonzero(np.bincount(cells)[cells] > 1)
    logs, cells, values = logs[shared], cells[shared], values[shared]
    levels, of_value = np.unique(values, return_inverse=True)
    places, of_cell = np.unique(cells, return_inverse=True)
    if len(levels) < 2:
        return 0.0
    hot = np.eye(len(levels))[of_value][:, 1:]
    inside = np.stack([_centred(each, of_cell) for each in (logs, *hot.T)], axis=1)
    free = len(logs) - len(places) - (len(levels) - 1)
    effects, _, rank, _ = np.linalg.lstsq(inside[:, 1:], inside[:, 0], rcond=None)
    if free < 1 or rank < len(levels) - 1:
        return 0.0
    fitted = inside[:, 1:] @ effects
    rest = float(((inside[:, 0] - fitted) ** 2).sum()) / free
    ratio = float((fitted**2).sum()) / rank / max(rest, 1e-12)
    if f_distribution.sf(ratio, rank, free) > CLEAR:
        return 0.0
    return float(np.ptp([0.0, *effects]))


def _centred(values: Floats, cells: np.ndarray) -> Floats:
    """Values less the mean of their cell."""
    return np.asarray(values - (np.bincount(cells, values) / np.bincount(cells))[cells])
