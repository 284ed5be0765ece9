"""Where an optimiser begins: a Sobol net of the numeric dimensions, and the cube's corners."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import qmc

from leadsman.plan.decision.constraints import Constraint, feasible_or_explain
from leadsman.plan.decision.space import Floats, Space

NET = 512
MOST_CORNERS = 10
"""Dimensions up to which all corners are tried."""


def nets(
    space: Space, constraints: Sequence[Constraint], seed: int
) -> list[tuple[dict[str, str], Floats, Floats]]:
    """Branch, Sobol net with the corners of the cube, and least slack of its points."""
    size = len(space.numeric)
    net = qmc.Sobol(size, seed=seed).random(NET) if size else np.zeros((1, 0))
    if 0 < size <= MOST_CORNERS:
        corners = np.array(list(itertools.product((0.0, 1.0), repeat=size)))
        net = np.vstack([net, corners])
    branches = space.branches()
    frames = [space.frame(net, branch) for branch in branches]
    least = feasible_or_explain(pl.concat(frames), constraints)
    return [
        (branch, net, least[k * len(net) : (k + 1) * len(net)]) for k, branch in enumerate(branches)
    ]


def apart(places: Floats, order: np.ndarray[Any, Any], count: int) -> list[int]:
    """The first few of an order that are not next to each other."""
    kept: list[int] = []
    for k in order:
        if all(np.abs(places[k] - places[j]).max() > 0.15 for j in kept):
            kept.append(int(k))
        if len(kept) == count or not places.shape[1]:
            break
    return kept or [int(order[0])]
