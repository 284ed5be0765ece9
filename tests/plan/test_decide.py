"""Decisions against a world whose law is known exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest

from leadsman.errors import BudgetError
from leadsman.laws import Forecast
from leadsman.plan import Plan
from leadsman.plan.decide import decide, points_of
from leadsman.runs import Mixture, ModelShape, Recipe, Schedule

QUALITY = {"natural": 1.0, "selected": 2.0}  # a selected token is worth two natural ones
BUDGET = 2e13


def world(points, *, noise=0.002, draws=400):
    """bpb = 1 + 8 / N^0.25 + 60 / (quality D)^0.4, with a common and a private error."""
    quality = np.array([QUALITY[name] for name in points["mixture"]])
    params, tokens = points["params"].to_numpy(), points["tokens"].to_numpy()
    truth = 1 + 8 / params**0.25 + 60 / (quality * tokens) ** 0.4
    common = np.random.default_rng(0).normal(0, noise, (draws, 1))
    return Forecast(points=points, draws=truth + common, y="bpb.target", law="world")


def options(mixtures=("natural", "selected")) -> list[Recipe]:
    found = []
    for width in (32, 64, 128, 192):
        shape = ModelShape(
            layers=4, width=width, heads=4, kv_heads=4, ffn_width=3 * width,
            vocab_size=2048, seq_len=256,
        )  # fmt: skip
        tokens = int(BUDGET / shape.train_flops_per_token)
        found += [
            Recipe(
                shape=shape, mixture=Mixture(name, {name: 1.0}), data="d", tokens=tokens,
                batch_tokens=4096, lr=0.01, schedule=Schedule(warmup_tokens=4096),
            )
            for name in mixtures
        ]  # fmt: skip
    return found


def decided(predict=world, **changes):
    fields = {"budget_flops": BUDGET, "sounding_flops": 1e12, "fitted_on": ["a"], "created": "now"}
    return decide(options(), predict, **(fields | changes))


def test_the_best_mixture_and_size_are_chosen():
    plan = decided()
    everything = options()
    truth = world(points_of(everything), noise=0).mean
    best = everything[int(truth.argmin())]
    assert plan.chosen.recipe.id == best.id
    assert best.mixture.name == "selected"


def test_naive_differs_in_data_alone():
    plan = decided()
    assert plan.naive.recipe.mixture.name == "natural"
    assert replace(plan.naive.recipe, mixture=plan.chosen.recipe.mixture) == plan.chosen.recipe


def test_every_option_is_weighed_and_ranked():
    plan = decided()
    weighed = [plan.chosen, plan.naive, *plan.alternatives]
    assert {option.recipe.id for option in weighed} == {recipe.id for recipe in options()}
    means = [option.forecast.mean for option in plan.alternatives]
    assert means == sorted(means)
    assert sum(option.probability_best for option in weighed) == pytest.approx(1)


def test_half_the_tokens_of_double_worth_save_half_the_compute():
    plan = decided()
    assert plan.saving is not None
    assert plan.saving.fraction == pytest.approx(0.5, abs=0.01)
    assert plan.saving.low <= plan.saving.fraction <= plan.saving.high


def test_no_saving_when_the_naive_choice_is_best(monkeypatch):
    monkeypatch.setitem(QUALITY, "selected", 0.5)
    plan = decided()
    assert plan.chosen is plan.naive
    assert plan.saving is None


def test_plan_survives_json():
    plan = decided()
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_no_option_is_a_budget_error():
    with pytest.raises(BudgetError, match="no model on the ladder"):
        decide([], world, budget_flops=1.0, sounding_flops=0, fitted_on=[], created="")
