"""Can these runs determine this law? Refuses or warns, and names the run that would help.

Two checks. The *design*: an input that never changes, or inputs that all move together (one
tokens-per-parameter ratio) cannot separate the terms of a law; that is refused before fitting.
The *fit*: the width of each exponent from the Jacobian at the optimum, which is its profile
width to second order; a wide one is reported with the run, among settings no dearer than the
runs at hand, that shrinks it most.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from leadsman.errors import DesignError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum_form import PowerSumForm
from leadsman.laws.fitting.variable_projection import PowerSum, gradient_at, robust_scale

FLAT = 0.02
"""Natural-log spread below which an input, or a direction of inputs, counts as constant."""

QUIETEST = 1e-3
"""Log scatter that runs are taken to have at least."""

USUAL_NOISE = 1e-2
"""Log scatter of single runs against which a prior is weighed before any is measured."""

WIDE_EXPONENT = 0.3
"""Standard error of an exponent, as a share of its value plus 0.2, from which it is reported."""


def check_design(law: str, x: Mapping[str, Floats], weights: Floats) -> None:
    """Refuse runs whose inputs do not vary, or vary only together.

    Args:
        law: name for the message.
        x: inputs by name, each (n,), above zero.
        weights: rows of weight zero do not count.

    Raises:
        DesignError: names a run that would cure it.
    """
    names = list(x)
    logs = np.stack([np.log(x[name][weights > 0]) for name in names], axis=1)
    if len(logs) == 0:
        raise DesignError(f"{law}: no runs to fit")
    for name, values in zip(names, logs.T, strict=True):
        if np.ptp(values) < FLAT:
            raise DesignError(
                f"{law}: {name} is {_number(np.exp(values[0]))} in every run, so its effect cannot "
                f"be seen; add a run at {name} {_number(np.exp(values[0]) * 4)}"
            )
    if len(names) < 2:
        return
    centred = logs - logs.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    spread = spread / np.sqrt(len(logs))
    if spread[-1] < FLAT:
        tied = [name for name, part in zip(names, directions[-1], strict=True) if abs(part) > 0.2]
        middle = np.exp(np.median(logs, axis=0))
        cure = ", ".join(
            f"{name} {_number(value * (4 if name == tied[-1] else 1))}"
            for name, value in zip(names, middle, strict=True)
        )
        raise DesignError(
            f"{law}: {' and '.join(tied)} change only together in these runs (one line in "
            f"log space), so their effects cannot be told apart; add a run at {cure}"
        )


def standard_errors(problem: PowerSum, theta: Floats) -> Floats:
    """Standard error of each parameter from the Jacobian, shape (q,)."""
    residuals, jac = gradient_at(problem, theta)
    noise = max(robust_scale(residuals, problem.size), QUIETEST)
    return np.asarray(noise * np.sqrt(np.diag(_covariance(problem, jac))))


def describe_weakness(
    law: PowerSumForm,
    x: Mapping[str, Floats],
    problem: PowerSum,
    theta: Floats,
    shape: tuple[float, ...],
) -> tuple[str, ...]:
    """A sentence for each exponent the runs hardly determine, with the run that would help."""
    errors = standard_errors(problem, theta)
    terms = len(law.terms)
    sentences = []
    for k, exponent in enumerate(law.exponents):
        value, error = theta[terms + k], errors[terms + k]
        if exponent.told and error > WIDE_EXPONENT * (abs(value) + 0.2):
            cure = _best_run(law, x, problem, theta, shape, terms + k)
            sentences.append(
                f"{law.name}: exponent {exponent.name} = {value:.3g} is hardly determined "
                f"(standard error {error:.2g}); a run at {cure} would help most."
            )
    return tuple(sentences)


def _covariance(problem: PowerSum, jac: Floats) -> Floats:
    """Covariance of the parameters for noise of standard deviation 1, shape (q, q)."""
    information = (jac * problem.weights[:, None]).T @ jac
    # A prior's precision is stated in units of delta^2; see PowerSumLaw.
    prior = problem.prior_precision / problem.delta**2 * USUAL_NOISE**2
    information += np.diag(prior + 1e-9)
    return np.asarray(np.linalg.inv(information))


def _best_run(
    law: PowerSumForm,
    x: Mapping[str, Floats],
    problem: PowerSum,
    theta: Floats,
    shape: tuple[float, ...],
    parameter: int,
) -> str:
    """The settings, within a factor 8 of the runs, whose result tells most about a parameter."""
    covariance = _covariance(problem, gradient_at(problem, theta)[1])
    names = list(law.inputs)
    axes = [np.geomspace(x[name].min() / 8, x[name].max() * 8, 9) for name in names]
    grid = np.array(list(itertools.product(*axes)))
    middle = {name: np.full(len(grid), np.median(values)) for name, values in x.items()}
    candidates = middle | {name: grid[:, k] for k, name in enumerate(names)}
    cost = np.log(grid).sum(axis=1)
    known = np.sum([np.log(x[name]) for name in names], axis=0)
    candidates = {name: values[cost <= known.max()] for name, values in candidates.items()}
    grid = grid[cost <= known.max()]
    if len(grid) == 0:
        return "other settings"
    features, base, _ = law.terms_at(candidates, shape)
    trial = replace(
        problem,
        features=features,
        base=base,
        log_y=np.zeros(len(features)),
        weights=np.ones(len(features)),
    )
    _, rows = gradient_at(trial, theta)
    reach = rows @ covariance
    gain = reach[:, parameter] ** 2 / (1 + np.einsum("ij,ij->i", reach, rows))
    best = grid[int(np.argmax(gain))]
    return ", ".join(f"{name} {_number(value)}" for name, value in zip(names, best, strict=True))


def _number(value: float) -> str:
    return f"{value:.3g}"
