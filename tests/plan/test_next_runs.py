"""The value of a run, against simulation and the cases one knows by heart."""

import numpy as np
import pytest

from leadsman.plan.decision.next_runs import (
    decision_regret,
    next_runs,
    value_of_set,
    values_of_runs,
)


def worlds(k=20_000, seed=0):
    """Two alternatives and three runs: one shows the first, one a mere echo of it, one nothing."""
    rng = np.random.default_rng(seed)
    a, b, other = rng.standard_normal((3, k)) * 0.02
    alternatives = np.exp(np.stack([a, b + 0.005], axis=1))
    runs = np.exp(np.stack([a, a + other, other], axis=1))
    return runs, alternatives


def test_value_agrees_with_simulated_bayes():
    """A normal pair by hand: after seeing x, the mean of the first moves, the other stays."""
    runs, alternatives = worlds()
    noise = 0.01
    found = values_of_runs(runs, alternatives, noise=noise)[0]
    rng = np.random.default_rng(1)
    a = rng.standard_normal(400_000) * 0.02
    seen = a + noise * rng.standard_normal(len(a))
    mean_after = np.exp(seen * 0.02**2 / (0.02**2 + noise**2))
    means = alternatives.mean(axis=0)
    simulated = means.min() - np.minimum(mean_after, means[1]).mean()
    assert found == pytest.approx(simulated, rel=0.05)  # the linear slope is exact for logs only


def test_an_echo_is_worth_less_and_noise_nothing():
    runs, alternatives = worlds()
    direct, echo, nothing = values_of_runs(runs, alternatives, noise=0.002)
    assert direct > 1.2 * echo
    assert nothing < 0.05 * direct


def test_no_run_is_worth_more_than_knowing_all():
    runs, alternatives = worlds()
    regret = decision_regret(alternatives)
    assert values_of_runs(runs, alternatives, noise=1e-6).max() <= regret
    both = np.concatenate([runs, alternatives[:, 1:]], axis=1)
    together = value_of_set(both, alternatives, [0, 3], noise=1e-5)
    assert together == pytest.approx(regret, rel=0.05)


def test_cost_decides_between_runs_of_equal_value_and_stops():
    runs, alternatives = worlds()
    cheap_echo = next_runs(runs, alternatives, np.array([100.0, 1.0, 1.0]), noise=0.002)
    assert cheap_echo.runs[0].row == 1
    assert not cheap_echo.stop
    dear = next_runs(runs, alternatives, np.full(3, 1e9), noise=0.002, worth=1.0)
    assert dear.stop
    assert "saves more than it costs" in dear.why
    safe = next_runs(runs, alternatives, np.ones(3), noise=0.002, tolerance=1.0)
    assert safe.stop
    settled = next_runs(runs, np.array([[1.0, 2.0]] * len(runs)), np.ones(3), noise=0.01)
    assert settled.stop
