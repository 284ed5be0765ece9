"""How wrong an extrapolation will be: what the fits say, what history says, what own runs say.

At a point ``d`` e-folds of compute beyond the runs, four things are known beforehand, all on the
log of the result:

    residual      how far the runs lie from the fit, those next to the points counting half
    spread        what the bootstrap of the parameters leaves open
    disagreement  between the competing laws, by their weights
    change        how much better (or worse) the point is forecast than the run nearest to it

    V(x)^2 = residual^2 + (spread^2 + disagreement^2 + (change_share * change)^2) (1 + d)^(2 growth)

The same is known at every rolling origin k of the user's own runs, and there the error came true.
Its size in units of s = level * V says whether these runs go on as their fits expect:

    z_k  = error_k / s_k            (capped at +-3)
    Z    = mean of z_k              last origins counting most, shared by the groups of a table
    m    = n / (n + 4) * Z          n origins: few own errors say little

and the forecast is ``log y = centre + bias * m * s + s * t`` with t Student's: data sets differ by
factors, and no one knows the factor of a new one. ``level, change_share, growth, bias`` and the
degrees of freedom are learned from history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leadsman.laws.base import Floats

LARGEST_Z = 3.0
"""Cap on own standardised errors: an origin that failed outright must not decide alone."""

LEAST = 1e-3
"""Log errors are not taken to be smaller than this: no loss is forecast more finely."""

RECENCY = 8
"""An origin counts by (its share of the runs) to this power: the last ones are most like the
forecast to be made."""

FEW = 4
"""Origins at which own errors count half."""

LARGEST_CHANGE = 1.0
"""Cap on the log change: beyond a factor e it says nothing more."""


@dataclass(frozen=True)
class Parts:
    """What is known about a forecast's error at n points before history is asked.

    Attributes:
        noise: scatter of single runs, shape (n,).
        residual, spread, disagreement, change: see the module, each (n,).
        distance: log distance beyond the runs, shape (n,).
    """

    noise: Floats
    residual: Floats
    spread: Floats
    disagreement: Floats
    change: Floats
    distance: Floats


@dataclass(frozen=True)
class Origin:
    """Own errors at one rolling origin.

    Attributes:
        errors: log of result over forecast, shape (n,).
        parts: what was known about them, n points.
        share: runs fitted on, as a share of all runs of the group.
    """

    errors: Floats
    parts: Parts
    share: float


@dataclass(frozen=True)
class ErrorModel:
    """Learned constants of the error of extrapolations; see the module for the equations.

    Attributes:
        level, change_share, growth: of the scale (level and change_share as logarithms).
        bias: share of the own mean error that comes again.
        dof: degrees of freedom of the Student t.
    """

    level: float
    change_share: float
    growth: float
    bias: float
    dof: float

    def scale(self, parts: Parts) -> Floats:
        """Scale s of the log error at each point, shape (n,)."""
        change = np.exp(self.change_share) * np.minimum(np.abs(parts.change), LARGEST_CHANGE)
        form = parts.spread**2 + parts.disagreement**2 + change**2
        grown = form * (1 + parts.distance) ** (2 * self.growth)
        return np.asarray(np.exp(self.level) * np.sqrt(parts.residual**2 + grown + LEAST**2))

    def own(self, groups: Sequence[Sequence[Origin]]) -> float:
        """m: what the rolling origins of a table's groups say about the next error."""
        means = [self._mean(origins) for origins in groups if origins]
        count = sum(len(origins) for origins in groups)
        return float(np.mean(means)) * count / (count + FEW) if means else 0.0

    def centre(self, parts: Parts, own: float) -> Floats:
        """Expected log error at each point, shape (n,)."""
        return np.asarray(self.bias * own * self.scale(parts))

    def _mean(self, origins: Sequence[Origin]) -> float:
        z = [
            float(np.clip(each.errors / self.scale(each.parts), -LARGEST_Z, LARGEST_Z).mean())
            for each in origins
        ]
        return float(np.average(z, weights=[each.share**RECENCY for each in origins]))
