"""Draws of a law's parameters whose intervals hold: walks over the fit's own objective.

Refitting resampled runs knows only the curvature at the optimum; where the valley of the objective
bends (an offset against a small exponent) such draws are too narrow. Here the valley is walked, by
the density of :mod:`leadsman.laws.fitting.likelihood`.

Parameters may be bent badly, but curves hardly are. Walkers therefore start where the curve is
moved by a draw in its tangent plane (Bardsley et al. 2014, "Randomize-then-optimize"), and move on
by steps in that plane, followed by Newton's method, and by the places of other walkers (Goodman &
Weare 2010, "Ensemble samplers with affine invariance"; ter Braak 2006, differential evolution).
All walkers move at once.

In a direction of parameters that hardly moves the curve the tangent plane soon ends, and a random
step in it leaves the valley. There the parameters themselves are the coordinate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leadsman.laws.base import Floats
from leadsman.laws.fitting.least_squares import huber
from leadsman.laws.fitting.likelihood import Target

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
