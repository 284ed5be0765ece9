from __future__ import annotations

import math

import pytest

from leadsman.errors import InputError
from leadsman.runs import Schedule
from leadsman.train.schedule import lr_at, shared_steps, warmup_steps


def curve(recipe):
    return [lr_at(recipe, step) for step in range(recipe.steps)]


def test_wsd_warms_up_stays_and_decays_to_its_end(new_recipe):
    recipe = new_recipe(
        tokens=64 * 100,
        lr=1.0,
        schedule=Schedule(warmup_tokens=640, decay_fraction=0.25, final_lr_ratio=0.1),
    )
    lr = curve(recipe)
    assert lr[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(lr[10:76]) == {1.0}
    assert lr[76:] == pytest.approx([1 - 0.9 * step / 25 for step in range(1, 25)])
    assert shared_steps(recipe) == 75


def test_cosine_is_the_closed_form_and_shares_only_its_warm_up(new_recipe):
    recipe = new_recipe(
        tokens=64 * 50, lr=2.0, schedule=Schedule(name="cosine", warmup_tokens=64 * 5)
    )
    for step in range(5, 50):
        assert lr_at(recipe, step) == pytest.approx(1 + math.cos(math.pi * (step - 5) / 45))
    assert shared_steps(recipe) == 5


def test_constant_shares_everything(new_recipe):
    recipe = new_recipe(schedule=Schedule(name="constant"))
    assert set(curve(recipe)) == {recipe.lr}
    assert shared_steps(recipe) == recipe.steps


@pytest.mark.parametrize("name", ["wsd", "cosine", "constant"])
def test_the_shared_part_does_not_depend_on_the_length(new_recipe, name):
    schedule = Schedule(name=name, warmup_tokens=200)
    short, long = (new_recipe(tokens=64 * n, schedule=schedule) for n in (20, 90))
    assert warmup_steps(short) == 4
    shared = shared_steps(short)
    assert curve(short)[:shared] == curve(long)[:shared]


def test_a_warm_up_longer_than_the_run_is_refused(new_recipe):
    recipe = new_recipe(schedule=Schedule(warmup_tokens=64 * 17))
    with pytest.raises(InputError, match="warm-up takes 17 steps and decay begins after 16"):
        shared_steps(recipe)
