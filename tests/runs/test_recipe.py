import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadsman.errors import InputError
from leadsman.runs import Mixture, Recipe


def test_recipe_survives_json(recipe):
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert again.id == recipe.id


def test_every_change_gives_another_id(recipe):
    changed = [
        replace(recipe, tokens=200_000),
        replace(recipe, seed=8),
        replace(recipe, lr=0.02),
        replace(recipe, mixture=Mixture("natural", {"code": 1, "prose": 1})),
        replace(recipe, shape=replace(recipe.shape, layers=3)),
        replace(recipe, schedule=replace(recipe.schedule, decay_fraction=0.1)),
    ]
    assert len({each.id for each in [recipe, *changed]}) == 7


def test_trunk_is_shared_by_recipes_that_differ_in_tokens_alone(recipe):
    assert replace(recipe, tokens=300_000).trunk_id == recipe.trunk_id
    assert replace(recipe, seed=1).trunk_id != recipe.trunk_id


def test_flops_count_whole_batches_only(recipe):
    assert recipe.steps == 24
    assert recipe.flops == 24 * 4096 * recipe.shape.train_flops_per_token


@given(
    st.dictionaries(st.text(min_size=1), st.floats(0, 1e6), min_size=1).filter(
        lambda weights: sum(weights.values()) > 1e-9
    )
)
def test_mixture_weights_sum_to_one_whatever_their_scale(weights):
    mixture = Mixture("any", weights)
    assert sum(mixture.weights.values()) == pytest.approx(1)
    assert list(mixture.weights) == sorted(weights)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12))
def test_mixture_is_the_same_after_pickling_and_json(weights):
    mixture = Mixture("any", {f"source {n}": weight for n, weight in enumerate(weights)})
    assert pickle.loads(pickle.dumps(mixture)) == mixture
    assert Mixture("any", json.loads(json.dumps(dict(mixture.weights)))) == mixture


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": -1.0}, {"a": float("nan")}])
def test_mixture_without_weight_is_refused(weights):
    with pytest.raises(InputError, match="mixture"):
        Mixture("none", weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_tokens": 4000}, "4000 is not a multiple of the sequence length 256"),
        ({"tokens": 100}, "100 tokens are less than one batch"),
        ({"lr": 0.0}, "field 'lr': must be above zero"),
    ],
)
def test_impossible_recipes_are_refused(recipe, change, message):
    with pytest.raises(InputError, match=message):
        replace(recipe, **change)


def test_unknown_field_in_a_stored_recipe_is_named(recipe):
    with pytest.raises(InputError, match="colour"):
        Recipe.from_dict(recipe.to_dict() | {"colour": "red"})
