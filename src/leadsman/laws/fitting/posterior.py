"""Draws of a law's parameters whose intervals hold: the fit's own objective as a likelihood.

Refitting resampled runs knows only the curvature at the optimum; where the valley of the objective
bends (an offset against a small exponent) such draws are too narrow. Here the valley is walked:

    p(theta) ~ sqrt(det J'WJ) * (1 + 2 eta (Q(theta) - Q_min) / nu)^(-(nu + q) / 2)

Q is the summed Huber loss that was minimised and J the Jacobian of the log curve. eta makes a
quadratic Q as wide as the fit's sampling error (its sandwich variance; Pauli, Racugno & Ventura
2011, "Bayesian composite marginal likelihoods"), and the power is Student's t with nu = n - q
degrees of freedom, as the scatter is learned from the same runs. For least squares on a linear law
this is the exact answer. The first factor is Jeffreys' prior: it does not depend on how a parameter
is written down, and gives no weight to directions that change nothing.

Walkers start where the curve is moved by a draw in its tangent plane: parameters may be bent, but
curves hardly are (Bardsley et al. 2014, "Randomize-then-optimize"). From there they move in three
ways: a random walk in the metric J'WJ of the place where the walker is, which follows the bends of
a valley (Girolami & Calderhead 2011, "Riemann manifold Langevin and Hamiltonian Monte Carlo
methods"), and by the places of other walkers (Goodman & Weare 2010, "Ensemble samplers with affine
invariance"; ter Braak 2006, differential evolution). All walkers move at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from leadsman.laws.base import Floats
from leadsman.laws.fitting.least_squares import huber

WALKERS = 300
BURN_IN = 50
EVERY = 10
SNAPSHOTS = 4
"""Draws kept are WALKERS * SNAPSHOTS, the ensemble EVERY steps apart."""

_PARTS = 8
"""Parts in which a walker is moved to where it starts."""

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
        temper: how the objective turns into a likelihood.
        lowest: the objective at the optimum.
        weights: of the rows, shape (n,).
        delta: Huber width.
        lower, upper: box on the parameters, shape (q,).
        prior_mean, prior_precision: normal priors, shape (q,); precision 0 is none.
    """

    linearised: Linearised
    temper: Temper
    lowest: float
    weights: Floats
    delta: Floats | float
    lower: Floats
    upper: Floats
    prior_mean: Floats
    prior_precision: Floats

    def at(self, theta: Floats) -> _Places:
        """Density and metric at each row of ``theta``; minus infinity outside the box."""
        count, size = theta.shape
        log_density = np.full(count, -np.inf)
        metric = np.broadcast_to(np.eye(size), (count, size, size)).copy()
        inside = ((theta >= self.lower) & (theta <= self.upper)).all(axis=1)
        if inside.any():
            within = theta[inside]
            residuals, slopes = self.linearised(within)
            slopes = slopes * np.sqrt(self.weights)[:, None]
            gram = slopes.transpose(0, 2, 1) @ slopes
            sign, log_det = np.linalg.slogdet(gram)
            off = within - self.prior_mean
            value = self.temper.log_weight(huber(residuals, self.weights, self.delta) - self.lowest)
            value = value + log_det / 2 - self.prior_precision @ (off**2).T / 2
            good = (sign > 0) & np.isfinite(value)
            log_density[inside] = np.where(good, value, -np.inf)
            ridge = 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None] / size + 1e-300
            diagonal = self.prior_precision + self.temper.eta * ridge
            curved = self.temper.eta * gram + diagonal[:, :, None] * np.eye(size)
            metric[inside] = np.where(good[:, None, None], curved, np.eye(size))
        return _Places(theta, log_density, metric)


@dataclass
class _Places:
    """Places of walkers (b, q), their log densities (b,), and the metric there (b, q, q)."""

    theta: Floats
    log_density: Floats
    metric: Floats

    def part(self, which: slice) -> _Places:
        return _Places(self.theta[which], self.log_density[which], self.metric[which])

    def accept(self, which: slice, accepted: npt.NDArray[np.bool_], trial: _Places) -> None:
        rows = np.arange(len(self.theta))[which][accepted]
        self.theta[rows] = trial.theta[accepted]
        self.log_density[rows] = trial.log_density[accepted]
        self.metric[rows] = trial.metric[accepted]


def sample(target: Target, centre: Floats, *, seed: int) -> Floats:
    """Draws from a density, shape (WALKERS * SNAPSHOTS, q), in no order.

    Args:
        target: the density.
        centre: the optimum, shape (q,).
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, 7])
    walkers = target.at(_along_the_curve(target, centre, rng))
    half = WALKERS // 2
    halves = slice(0, half), slice(half, None)
    kept = []
    for step in range(BURN_IN + EVERY * SNAPSHOTS):
        for moved, others in (halves, halves[::-1]):
            here = walkers.part(moved)
            if rng.random() < 0.5:
                trial, correction = _walk(target, here, rng)
            else:
                trial, correction = _by_others(target, here, walkers.theta[others], rng)
            gain = trial.log_density - here.log_density + correction
            walkers.accept(moved, np.log(rng.random(half)) < gain, trial)
        if step >= BURN_IN and (step - BURN_IN) % EVERY == EVERY - 1:
            kept.append(walkers.theta.copy())
    return np.asarray(rng.permutation(np.concatenate(kept)))


def choose(size: int, draws: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Which of ``size`` draws at hand to use for ``draws``: each once before any twice."""
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(size) for _ in range(-(-draws // size))]
    return np.concatenate(rounds)[:draws].astype(np.int64)


def _along_the_curve(target: Target, centre: Floats, rng: np.random.Generator) -> Floats:
    """Parameters (WALKERS, q) whose curves lie a Student's t draw from the optimum's.

    The displacement grows from zero in parts, each reached by Newton's method, so that a walker
    follows the valley. Some displacements no parameters give (an offset below zero): a walker that
    does not arrive starts where another did.
    """
    size, scale = len(centre), target.temper
    start, slopes = target.linearised(centre[None])
    rows = np.sqrt(target.weights)
    plane, _ = np.linalg.qr(rows[:, None] * slopes[0])
    tails = np.sqrt(scale.dof / rng.chisquare(scale.dof, (WALKERS, 1)))
    goal = rng.standard_normal((WALKERS, size)) * tails / np.sqrt(scale.eta)
    theta = np.repeat(centre[None], WALKERS, axis=0)
    reached, part = np.zeros(WALKERS), np.full(WALKERS, 1 / _PARTS)

    def gap(wanted: Floats, trial: Floats) -> tuple[Floats, Floats]:
        values, slopes = target.linearised(trial)
        return wanted - (rows * (values - start)) @ plane, plane.T @ (rows[:, None] * slopes)

    for _ in range(6 * _PARTS):
        going = np.flatnonzero((reached < 1) & (part > 0.01))
        if len(going) == 0:
            break
        share = np.minimum(reached[going] + part[going], 1.0)
        wanted = share[:, None] * goal[going]
        trial = _newton(partial(gap, wanted), theta[going])
        missed = np.linalg.norm(gap(wanted, trial)[0], axis=1)
        good = missed < 0.1 * part[going] * np.linalg.norm(goal[going], axis=1)
        good &= ((trial >= target.lower) & (trial <= target.upper)).all(axis=1)
        theta[going[good]] = trial[good]
        reached[going[good]] = share[good]
        part[going] *= np.where(good, 1.5, 0.4)
    arrived = np.flatnonzero((reached >= 1) & np.isfinite(target.at(theta).log_density))
    if len(arrived) > size:
        late = np.setdiff1d(np.arange(WALKERS), arrived)
        theta[late] = theta[rng.choice(arrived, len(late))]
    return theta


def _newton(gap: Linearised, theta: Floats) -> Floats:
    """Two Newton steps that close a gap; a walker whose step is not defined stays."""
    for _ in range(2):
        missing, jacobian = gap(theta)
        regular = np.abs(np.linalg.det(jacobian)) > 0
        jacobian[~regular] = np.eye(theta.shape[1])
        step = np.linalg.solve(jacobian, missing[..., None])[..., 0]
        theta = np.where(regular[:, None] & np.isfinite(step), theta + step, theta)
    return theta


def _walk(target: Target, here: _Places, rng: np.random.Generator) -> tuple[_Places, Floats]:
    """A random step in the metric of each place, and the log correction for the way back."""
    count, size = here.theta.shape
    length = 2.38 / np.sqrt(size) * rng.choice([0.15, 0.5, 1.0], size=(count, 1))
    factor = np.linalg.cholesky(here.metric)
    normal = rng.standard_normal((count, size, 1))
    step = length * np.linalg.solve(factor.transpose(0, 2, 1), normal)[..., 0]
    trial = target.at(here.theta + step)
    there = np.einsum("bi,bij,bj->b", step, trial.metric, step)
    ahead = np.einsum("bi,bij,bj->b", step, here.metric, step)
    log_det = np.linalg.slogdet(trial.metric)[1] - np.linalg.slogdet(here.metric)[1]
    return trial, log_det / 2 - (there - ahead) / (2 * length[:, 0] ** 2)


def _by_others(
    target: Target, here: _Places, others: Floats, rng: np.random.Generator
) -> tuple[_Places, Floats]:
    """Towards or past another walker, or along the line between two, and the log correction."""
    count, size = here.theta.shape
    if rng.random() < 0.5:
        stretch = (rng.random(count) * (np.sqrt(2.0) - np.sqrt(0.5)) + np.sqrt(0.5)) ** 2
        partner = others[rng.integers(count, size=count)]
        trial = target.at(partner + stretch[:, None] * (here.theta - partner))
        return trial, np.asarray((size - 1) * np.log(stretch))
    first = rng.integers(count, size=count)
    second = (first + rng.integers(1, count, size=count)) % count
    length = 2.38 / np.sqrt(2 * size) * rng.choice([0.3, 1.0], size=count)
    length = np.where(rng.random(count) < 0.1, 1.0, length)
    step = length[:, None] * (others[first] - others[second])
    return target.at(here.theta + step), np.zeros(count)
