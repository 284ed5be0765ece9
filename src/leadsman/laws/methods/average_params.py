"""One law for models that are dense, pruned or grown while they train.

    L = E + A * mean(N)^-alpha + B * D^-beta

Jin et al., "The Journey Matters" (2025, catalogue 82): Chinchilla's law with the parameter count
replaced by its average over pre-training. Loss in nats per token.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.laws.table import column, columns
from leadsman.methods import Paper


class AverageParams(PowerSumLaw):
    """Chinchilla's law in the average parameter count over pre-training, for sparse and dense.

    Columns: ``tokens``, and either ``average_params`` or ``params`` (at the start),
    ``final_params``, ``change_start`` and ``change_end`` (fractions of training between which
    the count moves; see :func:`average_params`).
    """

    name = "average-params"
    paper = Paper(
        "The Journey Matters: Average Parameter Count over Pre-training Unifies Sparse and Dense "
        "Scaling Laws",
        2025,
        82,
    )
    inputs = ("average_params", "tokens")
    terms = ("E", "A", "B")
    exponents = (Exponent("alpha"), Exponent("beta"))

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """``average_params`` as given or from the course of the count, and ``tokens``."""
        tokens = column(frame, "tokens")
        if "average_params" in frame.columns:
            return {"average_params": column(frame, "average_params"), "tokens": tokens}
        sizes = columns(frame, ("params", "final_params"))
        start = column(frame, "change_start", positive=False)
        end = column(frame, "change_end", positive=False)
        mean = average_params(sizes["params"], sizes["final_params"], start, end)
        return {"average_params": mean, "tokens": tokens}

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log of the average N in the A term, -log D in the B term; shape (n, 3, 2)."""
        features = np.zeros((len(x["tokens"]), 3, 2))
        features[:, 1, 0] = -np.log(x["average_params"])
        features[:, 2, 1] = -np.log(x["tokens"])
        return features


def average_params(params: Floats, final_params: Floats, start: Floats, end: Floats) -> Floats:
    """Parameter count averaged over training, when it moves linearly in between two moments.

    Args:
        params: count until ``start``, shape (n,).
        final_params: count after ``end``, shape (n,).
        start: fraction of training at which the count begins to move, in [0, 1].
        end: fraction at which it stops; at least ``start``.

    Raises:
        InputError: fractions outside [0, 1] or in the wrong order.

    >>> float(average_params(np.array(1e9), np.array(5e8), np.array(0.25), np.array(0.75)))
    750000000.0
    """
    if np.any((start < 0) | (end > 1) | (start > end)):
        raise InputError("change_start and change_end must satisfy 0 <= start <= end <= 1")
    middle = (start + end) / 2
    return np.asarray(params * middle + final_params * (1 - middle))
