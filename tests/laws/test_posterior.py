"""Draws against densities known in closed form."""

import numpy as np
import pytest
from scipy.stats import kstest, t, uniform

from leadsman.laws.fitting.draws import temper_of
from leadsman.laws.fitting.least_squares import huber
from leadsman.laws.fitting.likelihood import Target, temper
from leadsman.laws.fitting.posterior import sample
from leadsman.laws.methods.overtraining_harm import OvertrainingHarm
from leadsman.testing.planted import planted
from leadsman.testing.planted_cases import CASES

ROWS = 12


def valley(bend, flatness):
    """A curve with coordinates u - bend v^2 and flatness * v, |v| <= 5: along v a bent valley."""
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.standard_normal((ROWS, 3)))
    noise = rng.standard_normal(ROWS)
    noise -= basis @ (basis.T @ noise)

    def linearised(theta):
        u, v = theta.T
        along = np.stack([u - bend * v**2, flatness * v, 0 * v], axis=1)
        slopes = np.zeros((len(theta), 3, 2))
        slopes[:, 0, 0], slopes[:, 0, 1], slopes[:, 1, 1] = 1.0, -2 * bend * v, flatness
        return along @ basis.T + noise, basis @ slopes

    start = np.array([bend * 16.0, 4.0])
    weights = np.ones(ROWS)
    scale = temper(noise, weights, np.inf, 2)
    return start, Target(
        linearised=linearised,
        residuals=lambda theta: linearised(theta)[0],
        jeffreys=True,
        temper=scale,
        lowest=float(huber(noise[None], weights, np.inf)[0]),
        weights=weights,
        delta=np.inf,
        lower=np.array([-1e3, -5.0]),
        upper=np.array([1e3, 5.0]),
        prior_mean=np.zeros(2),
        prior_precision=np.zeros(2),
    )


@pytest.mark.parametrize(("bend", "flatness"), [(0.0, 0.01), (0.1, 0.01), (0.3, 0.01)])
def test_a_flat_valley_is_walked_from_end_to_end(bend, flatness):
    start, target = valley(bend, flatness)
    u, v = sample(target, start, seed=0).T
    # The runs say nothing about v, and all of it is as likely; 300 walkers are 0.08 off by chance.
    assert kstest(v, uniform(-5, 10).cdf).statistic < 0.1
    width = 1 / np.sqrt(target.temper.eta)
    # (1 + x^2 / nu)^-((nu + 2) / 2) in one of two coordinates, the other spread evenly.
    dof = target.temper.dof + 1
    across = (u - bend * v**2) / width * np.sqrt(dof / target.temper.dof)
    assert kstest(across, t(dof).cdf).statistic < 0.1


def test_a_determined_direction_is_students_t():
    _, target = valley(0.0, 50.0)
    states = sample(target, np.zeros(2), seed=1)
    width = 1 / np.sqrt(target.temper.eta)
    for across in (states[:, 0] / width, 50.0 * states[:, 1] / width):
        assert kstest(across, t(target.temper.dof).cdf).statistic < 0.06


@pytest.mark.parametrize("seed", [1, 4, 5])
def test_draws_reach_where_the_profile_likelihood_does(seed):
    """Five parameters in one bent valley, started from a far end of it."""
    case = next(case for case in CASES if case.name == "overtraining-harm")
    runs = planted(case.law, case.design(seed), case.theta, y="loss", noise=case.noise, seed=seed)
    fitted = case.law.fit(runs)
    eta = temper_of(fitted.problem, fitted.theta).eta
    likely = []
    for alpha in np.linspace(0.05, 0.8, 51):
        held = OvertrainingHarm(bounds={"alpha": (alpha - 1e-6, alpha)}).fit(runs)
        if 2 * eta * (held.value - fitted.value) < 3.0:
            likely.append(alpha)
    low, high = np.quantile(fitted.parameter_draws(draws=1200)["alpha"], [0.005, 0.995])
    # The lower end is where the offset is nil: an edge, which draws come near and do not cross.
    assert low < min(likely) + 0.03
    assert max(likely) < high
    assert max(likely) > 2 * min(likely)
