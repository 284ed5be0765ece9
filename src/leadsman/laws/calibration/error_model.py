"""How wrong an extrapolation will be: the four parts of its variance, and what own errors say.

    V(x) = (noise_part * noise)^2 + (parameter_part * spread(x))^2
         + (law_part * disagreement(x))^2 + (growth * d(x)^growth_power)^2

all on the log scale of the result; d is the log of compute over the largest compute fitted on.
The factors are learned from history. A user's own rolling-origin errors e then say how much
larger or smaller errors are here. An origin k with mean square m_k = mean e^2 / V and weight u_k
(its share of the runs) moves a scaled inverse chi-squared prior on the variance,

    lam2 = (dof * prior + pull * sum u_k m_k) / (dof + pull * sum u_k)

first over the other groups of runs, then over the group itself; the predictive distribution is
Student t with dof + pull * sum u_k degrees of freedom and scale sqrt(lam2 * V). Its centre moves by
(drift + own part) * d, where the own part is the mean error per e-fold, shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leadsman.laws.base import Floats

LARGEST_MISS = 30.0
"""Cap on m_k: one origin that failed outright must not set the scale alone."""


@dataclass(frozen=True)
class Parts:
    """What is known about a forecast's error at n points before the error model.

    Attributes:
        noise: scatter of single runs, shape (n,).
        spread: standard deviation from the parameters, shape (n,).
        disagreement: weighted standard deviation between candidates, shape (n,).
        distance: log distance beyond the runs, shape (n,).
    """

    noise: Floats
    spread: Floats
    disagreement: Floats
    distance: Floats


@dataclass(frozen=True)
class Origin:
    """Own errors at one rolling origin.

    Attributes:
        parts: what was known about each error beforehand.
        errors: log of result over forecast, shape (n,).
        share: runs fitted on, as a share of all runs of the group.
    """

    parts: Parts
    errors: Floats
    share: float


@dataclass(frozen=True)
class Scale:
    """A scaled inverse chi-squared distribution of the error variance's factor.

    Attributes:
        lam2: its location.
        dof: its degrees of freedom.
    """

    lam2: float
    dof: float


@dataclass(frozen=True)
class ErrorModel:
    """Learned constants of the error of extrapolations.

    Attributes:
        noise_part, parameter_part, law_part: factors on the three known parts.
        growth: log error that appears at one e-fold of compute beyond the runs.
        growth_power: how it grows with log distance.
        dof: how alike data sets are; degrees of freedom of the prior on their error scale.
        pull: how much one own rolling origin counts against that.
        drift: mean log error (result over forecast) per e-fold beyond the runs.
        drift_spread: standard deviation of that between data sets.
    """

    noise_part: float = 1.2
    parameter_part: float = 1.0
    law_part: float = 1.0
    growth: float = 0.005
    growth_power: float = 1.0
    dof: float = 4.0
    pull: float = 0.5
    drift: float = 0.0
    drift_spread: float = 0.002

    def variance(self, parts: Parts) -> Floats:
        """V at each point, shape (n,)."""
        extrapolation = self.growth * parts.distance**self.growth_power
        return np.asarray(
            (self.noise_part * parts.noise) ** 2
            + (self.parameter_part * parts.spread) ** 2
            + (self.law_part * parts.disagreement) ** 2
            + extrapolation**2
            + 1e-8
        )

    def scales(self, groups: Sequence[Sequence[Origin]]) -> list[Scale]:
        """The error scale of each group of runs, after its own and the other groups' errors."""
        sums = np.zeros((len(groups), 2))
        for g, origins in enumerate(groups):
            for origin in origins:
                miss = float(np.mean(origin.errors**2 / self.variance(origin.parts)))
                sums[g] += [origin.share * min(miss, LARGEST_MISS), origin.share]
        sums *= self.pull
        others = sums.sum(axis=0) - sums
        prior = (self.dof + others[:, 0]) / (self.dof + others[:, 1])
        dof = self.dof + sums[:, 1]
        lam2 = (self.dof * prior + sums[:, 0]) / dof
        return [Scale(float(a), float(b)) for a, b in zip(lam2, dof, strict=True)]

    def drifts(self, groups: Sequence[Sequence[Origin]]) -> list[float]:
        """Expected log error per e-fold for each group: history's, moved by its own errors."""
        found = []
        for origins in groups:
            precision = 1 / self.drift_spread**2
            total = self.drift * precision
            for origin in origins:
                variance = float(np.mean(self.variance(origin.parts)))
                reach = float(np.mean(origin.parts.distance))
                says = self.pull * origin.share * reach / variance
                precision += says * reach
                total += says * float(np.mean(origin.errors))
            found.append(total / precision)
        return found
