"""Chinchilla: loss in model size and data.

    L(N, D) = E + A / N^alpha + B / D^beta

N ``params``, D ``tokens``; L nats per token or bits per byte. Hoffmann et al. 2022,
"Training Compute-Optimal Large Language Models", approach 3.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.methods import Paper


class Chinchilla(PowerSumLaw):
    """Loss as an offset plus a power of model size plus a power of data.

    >>> import polars as pl
    >>> runs = pl.DataFrame({"params": [1e7, 1e7, 1e8, 1e8, 1e9, 1e9],
    ...                      "tokens": [1e8, 2e9, 1e9, 2e10, 1e10, 2e11]})
    >>> runs = runs.with_columns(loss=1.8 + 480 / pl.col("params") ** 0.35
    ...                               + 2000 / pl.col("tokens") ** 0.37)
    >>> {name: round(value, 2) for name, value in Chinchilla().fit(runs).parameters().items()}
    {'E': 1.8, 'A': 480.0, 'B': 2000.0, 'alpha': 0.35, 'beta': 0.37}
    """

    name = "chinchilla"
    paper = Paper("Training Compute-Optimal Large Language Models", 2022)
    inputs = ("params", "tokens")
    terms = ("E", "A", "B")
    exponents = (Exponent("alpha"), Exponent("beta"))

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log N in the A term, -log D in the B term; shape (n, 3, 2)."""
        features = np.zeros((len(x["params"]), 3, 2))
        features[:, 1, 0] = -np.log(x["params"])
        features[:, 2, 1] = -np.log(x["tokens"])
        return features
