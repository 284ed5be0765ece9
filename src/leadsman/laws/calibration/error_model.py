"""How wrong an extrapolation will be, from what is known beforehand and from own errors.

Two things are known about the log error e at a point d e-folds of compute beyond the runs:

    V(x)^2 = noise^2 + spread(x)^2 + disagreement(x)^2     what the fit says about itself
    R      = (weighted mean of (e_k / (1 + d_k))^2)^(1/2)   own errors at the rolling origins k

``spread`` comes from the bootstrap of the parameters, ``disagreement`` from the competing laws. R
is taken half from the group of runs and half from all groups together (geometric mean), origins
weighing by their share of the runs. History says how the two combine and how error grows:

    log s(x) = level + own * log R + parts * log V(x) + growth * log(1 + d) + single
    e = (drift + own_drift * S) * (1 + d) + s(x) * t,    S = weighted mean of e_k / (1 + d_k)

with t Student's: data sets differ by factors, and no one knows the factor of a new one. ``single``
applies where one input alone varies: a single curve looks more regular than it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leadsman.laws.base import Floats

LARGEST_ERROR = 1.0
"""Cap on own log errors: an origin that failed outright must not set the scale alone."""

LEAST = 2e-4
"""Log errors below this are taken for this: no loss is measured more finely."""


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

    def known(self) -> Floats:
        """V at each point, shape (n,)."""
        squares = self.noise**2 + self.spread**2 + self.disagreement**2
        return np.asarray(np.sqrt(squares + (5 * LEAST) ** 2))


@dataclass(frozen=True)
class Origin:
    """Own errors at one rolling origin.

    Attributes:
        errors: log of result over forecast, shape (n,).
        distance: log distance of each beyond the runs fitted on, shape (n,).
        share: runs fitted on, as a share of all runs of the group.
    """

    errors: Floats
    distance: Floats
    share: float


@dataclass(frozen=True)
class OwnErrors:
    """What the rolling origins of one group say.

    Attributes:
        log_rate: log R, ``nan`` without origins.
        signed: S, 0 without origins.
    """

    log_rate: float
    signed: float


def own_rates(groups: Sequence[Sequence[Origin]]) -> list[OwnErrors]:
    """R and S of each group of runs; R is shared half with the other groups."""
    alone = [_rate(origins) for origins in groups]
    seen = [each.log_rate for each in alone if np.isfinite(each.log_rate)]
    if not seen:
        return alone
    together = float(np.mean(seen))
    return [
        OwnErrors(
            together if np.isnan(each.log_rate) else (each.log_rate + together) / 2, each.signed
        )
        for each in alone
    ]


def _rate(origins: Sequence[Origin]) -> OwnErrors:
    if not origins:
        return OwnErrors(float("nan"), 0.0)
    shares = np.array([origin.share for origin in origins])
    rates = [
        np.clip(each.errors, -LARGEST_ERROR, LARGEST_ERROR) / (1 + each.distance)
        for each in origins
    ]
    square = shares @ [float(np.mean(rate**2)) for rate in rates] / shares.sum()
    signed = shares @ [float(np.mean(rate)) for rate in rates] / shares.sum()
    return OwnErrors(float(np.log(np.sqrt(square) + LEAST)), float(signed))


@dataclass(frozen=True)
class ErrorModel:
    """Learned constants of the error of extrapolations; see the module for the equations.

    Attributes:
        level, own, parts, growth, single: of the log scale.
        drift, own_drift: of the centre.
        dof: degrees of freedom of the Student t.
        usual: log R - log V where a table has too few runs for a rolling origin.
    """

    level: float
    own: float
    parts: float
    growth: float
    single: float
    drift: float
    own_drift: float
    dof: float
    usual: float

    def scale(self, parts: Parts, own: OwnErrors, *, single: bool) -> Floats:
        """Scale s of the log error at each point, shape (n,)."""
        known = np.log(parts.known())
        rate = known.mean() + self.usual if np.isnan(own.log_rate) else own.log_rate
        return np.asarray(
            np.exp(
                self.level
                + self.own * rate
                + self.parts * known
                + self.growth * np.log1p(parts.distance)
                + self.single * single
            )
        )

    def centre(self, parts: Parts, own: OwnErrors) -> Floats:
        """Expected log error at each point, shape (n,)."""
        return np.asarray((self.drift + self.own_drift * own.signed) * (1 + parts.distance))
