"""Draws of a law's parameters whose intervals hold: the fit's own objective as a likelihood.

Refitting resampled runs knows only the curvature at the optimum; where the valley of the objective
bends (an offset against a small exponent) such draws are too narrow. Here the valley is walked:

    p(theta) ~ sqrt(det J'WJ) * (1 + 2 eta (Q(theta) - Q_min) / nu)^(-(nu + q) / 2)

Q is the summed Huber loss that was minimised and J the Jacobian of the log curve. eta makes a
quadratic Q as wide as the fit's sampling error (its sandwich variance; Pauli, Racugno & Ventura
2011, "Bayesian composite marginal likelihoods"), and the power is Student's t with nu = n - q
degrees of freedom, as the scatter is learned from the same runs. For least squares on a linear law
this is the exact answer. The first factor is Jeffreys' prior: it does not depend on how a parameter
is written down, and gives no weight to directions that change nothing. Sums of powers have it (an
offset near zero would else count for too much); other equations may be singular at an edge of their
box, where it has no bound, and go without.

Parameters may be bent badly, but curves hardly are. Walkers therefore start where the curve is
moved by a draw in its tangent plane (Bardsley et al. 2014, "Randomize-then-optimize"), and move on
by steps in that plane, followed by Newton's method, and by the places of other walkers (Goodman &
Weare 2010, "Ensemble samplers with affine invariance"; ter Braak 2006, differential evolution).
All walkers move at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from leadsman.laws.base import Floats
from leadsman.laws.fitting.least_squares import huber

WALKERS = 300
SNAPSHOTS = 4
"""Draws kept are WALKERS * SNAPSHOTS."""


@dataclass(frozen=True)
class Pace:
    """How the walkers move.

    Attributes:
        burn_in: steps before the first snapshot.
        every: steps between snapshots.
        walking: share of steps in the tangent plane, which cost four times the others.
        lengths: of such steps, in units of the best one for a normal density.
        newton: steps of Newton's method that follow one.
    """

    burn_in: int = 32
    every: int = 8
    walking: float = 0.35
    lengths: tuple[float, ...] = (0.3, 1.0)
    newton: int = 2


EVEN = Pace()
BENT = Pace(burn_in=96, every=16, walking=0.9, lengths=(0.5, 1.0, 2.0), newton=6)
"""For a valley that the runs hardly limit: it bends, and other walkers show no way along it."""

_PARTS = 8
"""Parts in which a walker is moved to where it starts."""

_LOOSE = 2.0
"""Standard errors by which a curve moves for a unit of parameters, below which it hardly does."""

_IN_THE_PLANE = 0.25
"""Share of walkers and steps that keep to the plane even so: a loose direction may turn back."""

_FAR = 10.0
"""How far at most walkers start from the optimum along such a direction."""

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


class _Plane:
    """Coordinates of curves in the tangent plane of the optimum's, in units of their error.

    In a direction of parameters that hardly moves the curve, where the plane soon ends, the
    parameters themselves are the coordinate.

    Attributes:
        scale: how far each coordinate is uncertain, to first order, shape (q,).
        loose: which of them are directions of parameters, shape (q,).
    """

    def __init__(self, target: Target, centre: Floats, *, loosest: float) -> None:
        self.target, self.centre = target, centre
        self.rows = np.sqrt(target.weights * target.temper.eta)
        values, slopes = target.linearised(centre[None])
        self.start = values
        left, sizes, right = np.linalg.svd(self.rows[:, None] * slopes[0], full_matrices=False)
        self.loose = sizes < loosest
        self.axes = np.where(self.loose, 0.0, left)
        self.directions = np.where(self.loose[:, None], right, 0.0)
        self.scale = np.where(self.loose, 1 / np.maximum(sizes, 1 / _FAR), 1.0)

    def at(self, theta: Floats) -> tuple[Floats, Floats]:
        """Coordinates (b, q) and their derivatives (b, q, q) in the parameters."""
        values, slopes = self.target.linearised(theta)
        coordinates = (self.rows * (values - self.start)) @ self.axes
        coordinates += (theta - self.centre) @ self.directions.T
        return coordinates, self.axes.T @ (self.rows[:, None] * slopes) + self.directions

    def follow(
        self,
        theta: Floats,
        wanted: Floats,
        *,
        steps: int,
        first: tuple[Floats, Floats] | None = None,
    ) -> Floats:
        """Newton's method from ``theta`` to coordinates ``wanted``, shape (b, q).

        ``first``: what :meth:`at` says at ``theta``, if it is known.
        """
        for _ in range(steps):
            coordinates, jacobian = first or self.at(theta)
            first = None
            regular = np.abs(np.linalg.det(jacobian)) > 0
            solvable = np.where(regular[:, None, None], jacobian, np.eye(theta.shape[1]))
            step = np.linalg.solve(solvable, (wanted - coordinates)[..., None])[..., 0]
            moved = np.clip(theta + step, self.target.lower - 1e-6, self.target.upper + 1e-6)
            theta = np.where(regular[:, None] & np.isfinite(moved), moved, theta)
        return theta


def sample(target: Target, centre: Floats, *, seed: int) -> Floats:
    """Draws from a density, shape (WALKERS * SNAPSHOTS, q), in no order.

    Args:
        target: the density.
        centre: the optimum, shape (q,).
        seed: of the draws.
    """
    with np.errstate(all="ignore"):
        # Trial places far outside overflow; they have no density and are refused.
        return _sample(target, centre, np.random.default_rng([seed, 7]))


def _sample(target: Target, centre: Floats, rng: np.random.Generator) -> Floats:
    planes = [_Plane(target, centre, loosest=0.0), _Plane(target, centre, loosest=_LOOSE)]
    pace = BENT if planes[1].loose.any() else EVEN
    share = 1.0 if pace is EVEN else _IN_THE_PLANE
    counts = int(share * WALKERS), WALKERS - int(share * WALKERS)
    starts = [_along_the_curve(*each, centre, rng) for each in zip(planes, counts) if each[1]]
    walkers = rng.permutation(np.concatenate(starts))
    # An optimum on a grid of shapes is not the lowest place there is.
    found = huber(target.residuals(walkers), target.weights, target.delta).min()
    target = replace(target, lowest=min(target.lowest, float(found)))
    values = target.at(walkers)
    half = WALKERS // 2
    halves = slice(0, half), slice(half, None)
    kept = []
    for step in range(pace.burn_in + pace.every * SNAPSHOTS):
        for moved, others in (halves, halves[::-1]):
            here = walkers[moved]
            if rng.random() < pace.walking:
                plane = planes[int(rng.random() >= share)]
                trial, correction = _walk(plane, here, walkers[others], pace, rng)
            else:
                trial, correction = _by_others(here, walkers[others], rng)
            found = target.at(trial)
            accepted = np.log(rng.random(half)) < found - values[moved] + correction
            walkers[moved] = np.where(accepted[:, None], trial, here)
            values[moved] = np.where(accepted, found, values[moved])
        if step >= pace.burn_in and (step - pace.burn_in) % pace.every == pace.every - 1:
            kept.append(walkers.copy())
    return np.asarray(rng.permutation(np.concatenate(kept)))


def choose(size: int, draws: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Which of ``size`` draws at hand to use for ``draws``: each once before any twice."""
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(size) for _ in range(-(-draws // size))]
    return np.concatenate(rounds)[:draws].astype(np.int64)


def _along_the_curve(plane: _Plane, count: int, centre: Floats, rng: np.random.Generator) -> Floats:
    """Parameters (count, q) whose curves lie a Student's t draw from the optimum's.

    The displacement grows from zero in parts, so that a walker follows the valley. Some
    displacements no parameters give (an offset below zero): a walker that does not arrive starts
    where another did.
    """
    target, size, scale = plane.target, len(centre), plane.target.temper
    tails = np.sqrt(scale.dof / rng.chisquare(scale.dof, (count, 1)))
    goal = rng.standard_normal((count, size)) * tails * plane.scale
    length = np.linalg.norm(goal / plane.scale, axis=1)
    theta = np.repeat(centre[None], count, axis=0)
    reached, part = np.zeros(count), np.full(count, 1 / _PARTS)
    for _ in range(6 * _PARTS):
        going = np.flatnonzero((reached < 1) & (part > 0.01))
        if len(going) == 0:
            break
        share = np.minimum(reached[going] + part[going], 1.0)
        wanted = share[:, None] * goal[going]
        trial = plane.follow(theta[going], wanted, steps=2)
        missed = np.linalg.norm((plane.at(trial)[0] - wanted) / plane.scale, axis=1)
        good = missed < 0.1 * part[going] * length[going]
        good &= ((trial >= target.lower) & (trial <= target.upper)).all(axis=1)
        theta[going[good]] = trial[good]
        reached[going[good]] = share[good]
        part[going] *= np.where(good, 1.5, 0.4)
    arrived = np.flatnonzero((reached >= 1) & np.isfinite(target.at(theta)))
    if not plane.loose.any() and len(arrived) > size:
        late = np.setdiff1d(np.arange(count), arrived)
        theta[late] = theta[rng.choice(arrived, len(late))]
    return theta


def _walk(
    plane: _Plane, here: Floats, others: Floats, pace: Pace, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """A random step of the curve in the plane, and the log correction to the parameters' density.

    The step is symmetric in the plane's coordinates; their Jacobian makes up for the rest. A step
    that Newton's method does not follow is refused.
    """
    count, size = here.shape
    length = 2.38 / np.sqrt(size) * rng.choice(pace.lengths, size=(count, 1))
    coordinates, jacobian = first = plane.at(here)
    spread = (others @ plane.directions.T).std(axis=0)
    scale = np.where(plane.loose, spread, 1.0)
    step = length * rng.standard_normal((count, size)) * scale
    trial = plane.follow(here, coordinates + step, steps=pace.newton, first=first)
    reached, there = plane.at(trial)
    missed = np.linalg.norm((reached - coordinates - step) / scale, axis=1)
    followed = missed < 1e-2 * np.linalg.norm(step / scale, axis=1)
    change = np.linalg.slogdet(jacobian)[1] - np.linalg.slogdet(there)[1]
    usable = followed & np.isfinite(change)
    return trial, np.where(usable, np.where(usable, change, 0.0), -np.inf)


def _by_others(here: Floats, others: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Towards or past another walker, or along the line between two, and the log correction."""
    count, size = here.shape
    if rng.random() < 0.5:
        stretch = (rng.random(count) * (np.sqrt(2.0) - np.sqrt(0.5)) + np.sqrt(0.5)) ** 2
        partner = others[rng.integers(count, size=count)]
        return partner + stretch[:, None] * (here - partner), (size - 1) * np.log(stretch)
    first = rng.integers(count, size=count)
    second = (first + rng.integers(1, count, size=count)) % count
    length = 2.38 / np.sqrt(2 * size) * rng.choice([0.3, 1.0], size=count)
    length = np.where(rng.random(count) < 0.1, 1.0, length)
    return here + length[:, None] * (others[first] - others[second]), np.zeros(count)
