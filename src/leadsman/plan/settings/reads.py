"""What a point of the plan reads: the share of its tokens from each token set, and their sizes.

A selection is one token set at each of its rates. A document that lies in a selection and in its
source counts in both: passes are those over a token set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from leadsman.plan.decision.space import Floats
from leadsman.plan.settings.axes import ADD, SELECTED, Axes


@dataclass(frozen=True)
class PointReads:
    """Shares and sizes of the token sets that points read.

    Attributes:
        axes: with the sounded mixtures and the sources that a share can be moved to.
        sizes: tokens of each token set; one that is not there has no end.
    """

    axes: Axes
    sizes: Mapping[str, float]

    @cached_property
    def names(self) -> list[str]:
        """Token sets, a selection under one name at every rate."""
        drawn = [name for each in self.axes.references.values() for name in each.weights]
        return list(dict.fromkeys([*drawn, *self.axes.additions]))

    def __call__(self, points: pl.DataFrame) -> tuple[Floats, Floats]:
        """Shares and sizes, shape (n, names) each."""
        shares = np.zeros((len(points), len(self.names)))
        mixtures = points["mixture"].to_numpy()
        for mixture in dict.fromkeys(mixtures.tolist()):
            weights = self.axes.references[mixture].weights
            shares[mixtures == mixture] = [weights.get(name, 0.0) for name in self.names]
        added = np.zeros_like(shares)
        for k, name in enumerate(self.names):
            if ADD + name in points.columns:
                added[:, k] = points[ADD + name].to_numpy()
        shares = shares * (1 - added.sum(axis=1, keepdims=True)) + added
        sizes = np.tile([self.sizes.get(name, np.inf) for name in self.names], (len(points), 1))
        if SELECTED in self.names and "keep" in points.columns:
            usual = self.sizes.get(SELECTED, np.inf)
            rates = [f"{SELECTED}@{each}" for each in points["keep"].to_list()]
            sizes[:, self.names.index(SELECTED)] = [self.sizes.get(each, usual) for each in rates]
        return shares, sizes

    def passes(self, points: pl.DataFrame, name: str) -> Floats:
        """How often each point reads one token set, shape (n,)."""
        shares, sizes = self(points)
        k = self.names.index(name)
        return np.asarray(points["tokens"].to_numpy() * shares[:, k] / sizes[:, k])
