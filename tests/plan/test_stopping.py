"""The stop rule on planted curves: what they lead to is known."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest

from leadsman.plan.stopping import LearningCurveStop, averaged, last_loss

TOKENS = 1_000_000


def curve(floor, *, upto, amplitude=200.0, exponent=0.4, noise=0.05, seed=0):
    tokens = np.arange(20_000, upto + 1, 1_000)
    loss = floor + amplitude * tokens**-exponent
    loss = loss + noise * np.random.default_rng(seed).standard_normal(len(tokens))
    return pl.DataFrame({"tokens": tokens, "loss": loss})


def truth(floor):
    return floor + 200.0 * TOKENS**-0.4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("upto", [250_000, 500_000, 750_000])
def test_a_hopeless_run_is_told_from_a_near_one(upto, seed):
    rule, rival = LearningCurveStop(margin=0.05), curve(3.0, upto=TOKENS, seed=9)
    hopeless = curve(4.0, upto=upto, seed=seed)
    near = curve(3.1, upto=upto, seed=seed)
    better = curve(2.8, upto=upto, seed=seed)
    reason = rule(hopeless, [rival], tokens=TOKENS)
    assert reason.startswith("its learning curve leads to")
    assert f"a rival comes to {last_loss(rival):.3f} there" in reason
    assert rule(near, [rival], tokens=TOKENS) == ""
    assert rule(better, [rival], tokens=TOKENS) == ""
    assert rule(hopeless, [curve(3.9, upto=TOKENS)], tokens=TOKENS) == ""


def test_rivals_still_under_way_are_forecast_too():
    rule = LearningCurveStop()
    hopeless, rival = curve(4.5, upto=400_000), curve(3.0, upto=400_000, seed=3)
    assert rule(hopeless, [rival], tokens=TOKENS)
    assert rule(rival, [hopeless], tokens=TOKENS) == ""


def test_a_slow_start_is_not_hopeless():
    slow = curve(2.9, upto=500_000, amplitude=2000.0, exponent=0.55)
    rival = curve(3.0, upto=TOKENS)
    assert slow["loss"][0] > rival["loss"][0] + 2
    assert LearningCurveStop()(slow, [rival], tokens=TOKENS) == ""


def test_the_bound_lies_under_the_truth_most_of_the_time():
    rule = LearningCurveStop(level=0.9)
    bounds = [
        rule.loss_at(curve(3.0, upto=500_000, seed=seed), 0.1, tokens=TOKENS) for seed in range(20)
    ]
    assert np.mean([bound is not None and bound <= truth(3.0) for bound in bounds]) >= 0.75


def test_too_short_a_curve_says_nothing():
    short = curve(9.0, upto=30_000)
    assert LearningCurveStop()(short, [curve(3.0, upto=TOKENS)], tokens=TOKENS) == ""
    assert LearningCurveStop()(short, [], tokens=TOKENS) == ""
    assert LearningCurveStop().loss_at(short.clear(), 0.5, tokens=TOKENS) is None


def test_the_rule_travels_and_means_are_means():
    rule = LearningCurveStop(margin=0.2)
    assert pickle.loads(pickle.dumps(rule)) == rule
    flat = pl.DataFrame({"tokens": np.arange(1, 200), "loss": np.full(199, 2.5)})
    assert averaged(flat)["loss"].to_list() == pytest.approx([2.5] * len(averaged(flat)))
    assert len(averaged(flat)) <= 24
