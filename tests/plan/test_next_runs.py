"""The value of a run, against simulation and the cases one knows by heart."""

import numpy as np
import pytest

from leadsman.plan.decision.next_runs import (
    best_batch,
    decision_regret,
    next_runs,
    value_of_set,
    values_of_runs,
    worth_of_result,
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
    assert "the compute of the cheapest run more" in dear.why
    regret = decision_regret(alternatives)
    one = next_runs(runs, alternatives, np.full(3, 0.9 * regret), noise=0.02, worth=1.0)
    assert one.stop  # all that could be learned would pay for a run; what one run tells does not
    assert "no run saves as much as its compute would" in one.why
    safe = next_runs(runs, alternatives, np.ones(3), noise=0.002, tolerance=1.0)
    assert safe.stop
    settled = next_runs(runs, np.array([[1.0, 2.0]] * len(runs)), np.ones(3), noise=0.01)
    assert settled.stop


def test_runs_of_a_batch_do_not_say_the_same():
    """Two runs show the first alternative, a third the second, which matters a little less."""
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 20_000)) * 0.02
    alternatives = np.exp(np.stack([a, 0.8 * b], axis=1))
    runs = np.exp(np.stack([a, a, b], axis=1))
    alone = values_of_runs(runs, alternatives, noise=0.001)
    assert alone[1] > alone[2]
    assert set(best_batch(runs, alternatives, np.ones(3), noise=0.001, count=2)) == {0, 2}
    # with much noise, doing the same again is worth it: it halves the noise
    one, two = (
        best_batch(runs[:, :2], alternatives, np.ones(2), noise=noise, count=2)
        for noise in (1e-9, 0.05)
    )
    assert (len(one), len(two)) == (1, 2)


def test_seen_draws_have_the_covariance_that_is_left():
    """After one run the value of the other is that of a world in which the first was seen."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200_000, 2)) @ np.array([[0.02, 0.01], [0.0, 0.015]])
    noise = 0.012
    alternatives = np.exp(np.stack([x[:, 1], np.zeros(len(x))], axis=1))
    first = values_of_runs(np.exp(x), alternatives, noise=noise)
    together = value_of_set(np.exp(x), alternatives, [0, 1], noise=noise)
    assert best_batch(np.exp(x), alternatives, np.ones(2), noise=noise, count=2) == [1, 0]
    assert first.max() < together < first.sum()


def test_runs_that_decide_only_together_are_not_given_up():
    """The gap is so wide that one noisy run never flips it; eight repeats of it do."""
    rng = np.random.default_rng(4)
    a = rng.standard_normal(50_000) * 0.01
    alternatives = np.exp(np.stack([a, np.full_like(a, -0.02)], axis=1))
    runs = np.exp(np.repeat(a[:, None], 8, axis=1))
    alone = values_of_runs(runs, alternatives, noise=0.02).max()
    cost = 2 * alone
    found = next_runs(runs, alternatives, np.full(8, cost), noise=0.02, worth=1.0)
    assert not found.stop
    assert "runs together are expected to save" in found.why


def test_compute_is_worth_what_it_brings():
    """L = E + A C^-s: five per cent less compute loses s A C^-s ln(1 / 0.95)."""
    cost, slope = 1e20, 0.05
    loss = 1.7 + 40 * cost**-slope
    less = 1.7 + 40 * (0.95 * cost) ** -slope
    worth = worth_of_result(np.full(9, less), np.full(9, loss), 0.05 * cost)
    assert 1 / worth == pytest.approx(slope * 40 * cost**-slope / cost, rel=0.04)
    assert worth_of_result(np.full(9, loss), np.full(9, loss), 1.0) == float("inf")


def test_where_compute_brings_nothing_every_run_that_saves_is_worth_it():
    """Infinite worth, and a run that says nothing beside one that does."""
    rng = np.random.default_rng(3)
    a = rng.standard_normal(20_000) * 0.05
    alternatives = np.exp(np.stack([a, np.zeros_like(a)], axis=1))
    runs = np.exp(np.stack([np.zeros_like(a), a], axis=1))
    found = next_runs(runs, alternatives, np.ones(2), noise=0.01, worth=float("inf"))
    assert not found.stop
    assert found.runs[0].row == 1
    decided = np.exp(np.stack([a, a + 1], axis=1))
    assert next_runs(runs, decided, np.ones(2), noise=0.01, worth=float("inf")).stop


def test_a_batch_is_not_filled_with_runs_that_do_not_pay():
    """The second run costs more than it saves: a worker stays idle. Where none pays, none is left
    out, for several may pay together."""
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 20_000)) * 0.02
    alternatives = np.exp(np.stack([a, 0.8 * b], axis=1))
    runs = np.exp(np.stack([a, b], axis=1))
    values = values_of_runs(runs, alternatives, noise=0.001)
    costs = np.array([0.5 * values[0], 2 * values[1]])
    options = {"noise": 0.001, "count": 2}
    assert best_batch(runs, alternatives, costs, **options, worth=1.0) == [0]
    assert best_batch(runs, alternatives, costs, **options) == [0, 1]
    assert best_batch(runs, alternatives, 4 * costs, **options, worth=1.0) == [0, 1]
