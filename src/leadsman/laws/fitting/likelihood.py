"""A fit's own objective as a likelihood: the density that draws of parameters come from.

    p(theta) ~ sqrt(det J'WJ) * (1 + 2 eta (Q(theta) - Q_min) / nu)^(-(nu + q) / 2)

Q is the summed Huber loss that was minimised and J the Jacobian of the log curve. eta makes a
quadratic Q as wide as the fit's sampling error (its sandwich variance; Pauli, Racugno & Ventura
2011, "Bayesian composite marginal likelihoods"), and the power is Student's t with nu = n - q
degrees of freedom, as the scatter is learned from the same runs. For least squares on a linear law
this is the exact answer. The first factor is Jeffreys' prior: it does not depend on how a parameter
is written down, and gives no weight to directions that change nothing. Sums of powers have it (an
offset near zero would else count for too much); other equations may be singular at an edge of their
box, where it has no bound, and go without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from leadsman.laws.base import Floats
from leadsman.laws.fitting.least_squares import huber

_OUTLIER = 1.5
"""Residuals count towards the scatter up to this many standard deviations."""

_CLIPPED_VARIANCE = 0.7784652
"""Mean of min(z^2, _OUTLIER^2) for a normal z."""

_EXACT = 1e-9
"""Log scatter below which runs are taken for exact."""

Linearised = Callable[[Floats], tuple[Floats, Floats]]
"""Parameters (b, q) to residuals (b, n) and their derivatives (b, n, q)."""


@dataclass(frozen=True)
class Temper:
    """How the objective turns into a likelihood.

    Attributes:
        eta: how much one unit of the objective counts.
        dof: degrees of freedom, nu.
        parameters: number of fitted parameters, q.
        exact: whether the runs lie on the curve to rounding, so that there is nothing to draw.
    """

    eta: float
    dof: float
    parameters: int
    exact: bool

    def log_weight(self, excess: Floats) -> Floats:
        """Log of the likelihood factor at objectives ``excess`` above the optimum."""
        inside = np.maximum(2 * self.eta * excess / self.dof, -0.5)
        return np.asarray(-(self.dof + self.parameters) / 2 * np.log1p(inside))


def temper(residuals: Floats, weights: Floats, delta: Floats | float, parameters: int) -> Temper:
    """The factor eta and the degrees of freedom from residuals of a fit.

    eta = sum w E[psi'] / sum w^2 E[psi^2]: curvature of the Huber loss over variance of its score.

    Args:
        residuals: shape (n,).
        weights: of the rows, shape (n,).
        delta: Huber width, in the unit of the residuals.
        parameters: number of fitted parameters.
    """
    used = weights > 0
    r, w = residuals[used], weights[used]
    # Rows that count for little tell little about the scatter.
    count = w.sum() ** 2 / (w**2).sum()
    dof = max(count - parameters, 1.0)
    shrunk = count / dof
    scatter = _scatter(r, w) * np.sqrt(shrunk)
    if scatter < _EXACT:
        return Temper(np.inf, dof, parameters, exact=True)
    slope = float(erf(delta / (scatter * np.sqrt(2)))) if np.isfinite(delta) else 1.0
    score = np.minimum(np.clip(r, -delta, delta) ** 2 * shrunk, delta**2)
    return Temper(slope * w.sum() / float(w**2 @ score), dof, parameters, exact=False)


def _scatter(residuals: Floats, weights: Floats) -> float:
    """Huber's second proposal: standard deviation of the bulk, whatever a few outliers do."""
    scatter = float(np.sqrt(np.average(residuals**2, weights=weights)))
    for _ in range(100):
        clipped = np.minimum(residuals**2, (_OUTLIER * scatter) ** 2)
        scatter = float(np.sqrt(np.average(clipped, weights=weights) / _CLIPPED_VARIANCE))
    return scatter


@dataclass(frozen=True)
class Target:
    """The density to be sampled.

    Attributes:
        linearised: residuals and their derivatives at parameters.
        residuals: the residuals alone.
        jeffreys: whether Jeffreys' prior multiplies the likelihood; else all parameters in the
            box are equally likely beforehand.
        temper: how the objective turns into a likelihood.
        lowest: the objective at the optimum.
        weights: of the rows, shape (n,).
        delta: Huber width.
        lower, upper: box on the parameters, shape (q,).
        prior_mean, prior_precision: normal priors, shape (q,); precision 0 is none.
    """

    linearised: Linearised
    residuals: Callable[[Floats], Floats]
    jeffreys: bool
    temper: Temper
    lowest: float
    weights: Floats
    delta: Floats | float
    lower: Floats
    upper: Floats
    prior_mean: Floats
    prior_precision: Floats

    def at(self, theta: Floats) -> Floats:
        """Log density at each row of ``theta`` (b, q); minus infinity outside the box."""
        out = np.full(len(theta), -np.inf)
        inside = ((theta >= self.lower) & (theta <= self.upper)).all(axis=1)
        if inside.any():
            off = theta[inside] - self.prior_mean
            prior = -(self.prior_precision @ (off**2).T) / 2
            if self.jeffreys:
                residuals, slopes = self.linearised(theta[inside])
                slopes = slopes * np.sqrt(self.weights)[:, None]
                prior = prior + np.linalg.slogdet(slopes.transpose(0, 2, 1) @ slopes)[1] / 2
            else:
                residuals = self.residuals(theta[inside])
            excess = huber(residuals, self.weights, self.delta) - self.lowest
            value = self.temper.log_weight(excess) + prior
            out[inside] = np.where(np.isfinite(value), value, -np.inf)
        return out
