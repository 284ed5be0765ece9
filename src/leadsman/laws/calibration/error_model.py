"""How wrong an extrapolation will be: the four parts of its variance, and what own errors say.

    V(x) = (noise_part * noise)^2 + (parameter_part * spread(x))^2
         + (law_part * disagreement(x))^2 + (growth * d(x)^growth_power)^2

all on the log scale of the result; d is the log of compute over the largest compute fitted on.
The factors are learned from history. A user's own rolling-origin errors e_i then say how much
larger or smaller errors are here: with s2 = mean e_i^2 / V_i over k origins,

    lam2 = (dof + k' * s2) / (dof + k'),   k' = pull * k

is the posterior of a variance with a scaled inverse chi-squared prior, and the predictive
distribution is Student t with dof + k' degrees of freedom and scale sqrt(lam2 * V). The centre
moves by drift * d (laws of this kind are too high or too low on average), shrunk towards what the
user's own errors show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leadsman.laws.base import Floats


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
    drift_spread: float = 0.0

    def variance(self, parts: Parts) -> Floats:
        """V at each point, shape (n,)."""
        extrapolation = self.growth * parts.distance**self.growth_power
        return np.asarray(
            (self.noise_part * parts.noise) ** 2
            + (self.parameter_part * parts.spread) ** 2
            + (self.law_part * parts.disagreement) ** 2
            + extrapolation**2
            + 1e-10
        )

    def update(self, own: Sequence[tuple[Parts, Floats]]) -> tuple[float, float]:
        """Error scale lam and degrees of freedom after the user's own rolling-origin errors.

        Args:
            own: for each origin, the parts and the log errors (result over forecast).
        """
        squares = [float(np.mean(errors**2 / self.variance(parts))) for parts, errors in own]
        count = self.pull * len(squares)
        mean = float(np.mean(squares)) if squares else 1.0
        lam2 = (self.dof + count * mean) / (self.dof + count)
        return float(np.sqrt(lam2)), self.dof + count

    def shift(self, own: Sequence[tuple[Parts, Floats]], distance: Floats) -> Floats:
        """Expected log error at each distance, shape (n,): history's drift and the user's own."""
        if self.drift_spread == 0.0:
            return np.asarray(self.drift * distance)
        precision, total = 1 / self.drift_spread**2, self.drift / self.drift_spread**2
        for parts, errors in own:
            variance = float(np.mean(self.variance(parts)))
            reach = float(np.mean(parts.distance))
            precision += self.pull * reach**2 / variance
            total += self.pull * reach * float(np.mean(errors)) / variance
        return np.asarray(total / precision * distance)
