"""Accept then stop: the power phase is found, and the slope is that of the phase alone."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError
from leadsman.laws.methods.accept_then_stop import AcceptThenStop, best_law

SIZES = 200.0 * 2.0 ** np.arange(11)


def test_sizes_before_the_power_phase_are_refused():
    rng = np.random.default_rng(0)
    loss = 30 * np.maximum(SIZES, 6400.0) ** -0.25 * np.exp(0.001 * rng.standard_normal(11))
    fitted = AcceptThenStop(accept=4).fit(pl.DataFrame({"tokens": SIZES, "loss": loss}))
    assert fitted.used == 6
    assert fitted.parameters()["b"] == pytest.approx(0.25, abs=0.01)
    point = pl.DataFrame({"tokens": [1638400.0]})
    low, high = fitted.predict(point).interval(0.95)[0]
    assert low < 30 * 1638400.0**-0.25 < high


def test_agrees_with_ordinary_least_squares_when_all_sizes_lie_on_the_line():
    rng = np.random.default_rng(1)
    loss = 5 * SIZES**-0.1 * np.exp(0.01 * rng.standard_normal(11))
    fitted = AcceptThenStop(stop=1e9).fit(pl.DataFrame({"tokens": SIZES, "loss": loss}))
    slope, level = np.polyfit(np.log(SIZES), np.log(loss), 1)
    assert fitted.used == 11
    assert fitted.parameters() == pytest.approx({"A": np.exp(level), "b": -slope})


def test_stop_zero_keeps_to_the_largest_sizes():
    loss = 5 * SIZES**-0.1 * np.exp(0.01 * np.sin(SIZES))
    fitted = AcceptThenStop(stop=0.0).fit(pl.DataFrame({"tokens": SIZES, "loss": loss}))
    assert fitted.used == 3


def test_two_sizes_are_not_enough():
    with pytest.raises(DesignError, match="other sizes"):
        AcceptThenStop().fit(pl.DataFrame({"tokens": [1e3, 2e3], "loss": [2.0, 1.9]}))


def test_replicates_of_one_size_are_no_other_sizes():
    # A line through one size has no slope: it used to end in a singular matrix.
    runs = pl.DataFrame({"tokens": [1e3, 4e3, 4e3, 4e3], "loss": [2.0, 1.9, 1.91, 1.92]})
    with pytest.raises(DesignError, match="3 data sizes, not 2"):
        AcceptThenStop().fit(runs)
    more = pl.concat([runs, pl.DataFrame({"tokens": [2e3], "loss": [1.95]})])
    assert AcceptThenStop(stop=0.0).fit(more).used == 5


def test_the_law_is_chosen_by_what_it_would_have_predicted():
    sizes = 200.0 * 2.0 ** np.arange(11)
    laws = (AcceptThenStop(stop=0.0), AcceptThenStop(accept=6, stop=0.0))
    # A curve that keeps bending is followed best by its end, a noisy straight one by all of it.
    bent = [pl.DataFrame({"tokens": sizes, "loss": 4 / (1 + sizes / 3e3) ** b}) for b in (0.3, 0.5)]
    assert best_law(bent, laws, reach=8) is laws[0]
    rng = np.random.default_rng(0)
    straight = [
        pl.DataFrame({"tokens": sizes, "loss": 9 * sizes**-0.2 * np.exp(noise)})
        for noise in 0.05 * rng.standard_normal((20, 11))
    ]
    assert best_law(straight, laws, reach=8) is laws[1]
    with pytest.raises(DesignError, match="add runs at smaller sizes"):
        best_law([bent[0][:4]], laws, reach=8)
