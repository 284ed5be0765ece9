"""Draws of the parameters of a power sum, its shape parameters among them.

Exponents and log amplitudes are walked as they are; a shape parameter as its place on the law's
grid, a real number between the grid's ends, so that draws are not tied to the grid.
"""

from __future__ import annotations

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.least_squares import huber
from leadsman.laws.fitting.likelihood import Target, Temper, temper
from leadsman.laws.fitting.posterior import sample
from leadsman.laws.fitting.shapes import ShapeAxes, ShapedCurves, ShapeTerms
from leadsman.laws.fitting.variable_projection import PowerSum, gradient_at


def temper_of(problem: PowerSum, theta: Floats, shapes: int = 0) -> Temper:
    """How the objective of ``problem`` turns into a likelihood at its optimum ``theta``."""
    residuals, _ = gradient_at(problem, theta)
    return temper(residuals, problem.weights, problem.delta, problem.size + shapes)


def draw_power_sum(
    problem: PowerSum,
    theta: Floats,
    *,
    axes: ShapeAxes,
    shape: tuple[float, ...],
    at: ShapeTerms,
    seed: int,
) -> tuple[Floats, Floats]:
    """Draws of the parameters (k, q) and of the shape parameters (k, m).

    Args:
        problem: what was fitted.
        theta: its optimum, shape (q,).
        axes: grid of the shape parameters.
        shape: their fitted values.
        at: the terms at other values of them.
        seed: of the draws.
    """
    scale = temper_of(problem, theta, axes.size)
    if scale.exact:
        return theta[None].copy(), np.array([shape]).reshape(1, -1)
    curves = ShapedCurves(problem, axes, at)
    q, none = problem.size, np.zeros(axes.size)
    centre = np.concatenate([theta, axes.places(shape)])
    target = Target(
        linearised=curves.linearised,
        residuals=curves.residuals,
        jeffreys=True,
        temper=scale,
        lowest=float(huber(curves.residuals(centre[None]), problem.weights, problem.delta)[0]),
        weights=problem.weights,
        delta=problem.delta,
        lower=np.concatenate([problem.lower, none]),
        upper=np.concatenate([problem.upper, axes.last()]),
        prior_mean=np.concatenate([problem.prior_mean, none]),
        # A prior's precision is stated in units of delta^2; see PowerSumLaw.
        prior_precision=np.concatenate([problem.prior_precision / problem.delta**2, none]),
    )
    states = sample(target, centre, seed=seed)
    return states[:, :q], axes.values(states[:, q:])
