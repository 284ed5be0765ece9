from __future__ import annotations

import math

import pytest

from leadsman.errors import InputError
from leadsman.runs import Schedule
from leadsman.train.schedule import (
    explain_schedule,
    lr_at,
    rewarmed,
    shared_steps,
    warmup_steps,
)


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


def test_power_is_the_capped_power_law_then_a_linear_decay(new_recipe):
    schedule = Schedule(name="power", warmup_tokens=640, decay_fraction=0.25)
    recipe = new_recipe(tokens=64 * 100, lr=0.001, schedule=schedule)

    def law(step):
        return min(0.001, 4.6 * (64 / 4096) * (64 * step) ** -0.51)

    assert law(10) == 0.001 > law(75)
    lr = curve(recipe)
    assert lr[9] == pytest.approx(law(10))
    assert lr[10:75] == pytest.approx([law(step) for step in range(10, 75)])
    assert lr[75:] == pytest.approx([law(75) * (1 - step / 25) for step in range(25)])
    assert shared_steps(recipe) == 75


def test_power_knows_the_batch_and_not_the_length(new_recipe):
    schedule = Schedule(name="power")
    small, large = (
        new_recipe(tokens=2**16, batch_tokens=batch, lr=1.0, schedule=schedule)
        for batch in (64, 128)
    )
    for step in (8, 40, 200):  # the same tokens seen, twice the batch: twice the rate
        assert lr_at(large, step) == pytest.approx(2 * lr_at(small, 2 * step))
    longer = new_recipe(tokens=2**18, batch_tokens=64, lr=1.0, schedule=schedule)
    assert curve(small)[: shared_steps(small)] == curve(longer)[: shared_steps(small)]


def test_rewarming_goes_from_a_tenth_up_and_down_by_a_cosine(new_recipe):
    recipe = new_recipe(tokens=64 * 50, lr=2.0, schedule=rewarmed(warmup_tokens=64 * 5))
    lr = curve(recipe)
    assert lr[:5] == pytest.approx([0.2 + 1.8 * (step + 1) / 5 for step in range(5)])
    assert lr[5:] == pytest.approx(
        [0.2 + 1.8 * (1 + math.cos(math.pi * step / 45)) / 2 for step in range(45)]
    )


@pytest.mark.parametrize("name", ["wsd", "power", "cosine", "constant"])
def test_a_batch_ramp_doubles_and_keeps_every_token(new_recipe, name):
    ramp = Schedule(name=name, warmup_tokens=100, ramp_start_tokens=16, ramp_tokens=1000)
    short, long = (new_recipe(tokens=n, batch_tokens=64, schedule=ramp) for n in (3000, 9000))
    sizes = [long.batches.batch_at(step) for step in range(long.steps)]
    assert sizes == sorted(sizes)
    assert set(sizes) == {16, 32, 64}
    assert sizes.count(16) == math.ceil(500 / 16)
    assert sizes.count(32) == math.ceil(500 / 32)
    assert long.trained_tokens == sum(sizes) <= 9000 < sum(sizes) + 64
    for step in range(long.steps + 1):
        assert long.batches.tokens_at(step) == sum(sizes[:step])
        assert long.batches.steps_within(sum(sizes[:step])) == step
    assert warmup_steps(short) == math.ceil(100 / 16)
    shared = shared_steps(short)
    assert curve(short)[:shared] == curve(long)[:shared]


def test_a_ramp_that_cannot_be_is_refused(new_recipe):
    with pytest.raises(InputError, match="over a power of two"):
        new_recipe(schedule=Schedule(ramp_start_tokens=48, ramp_tokens=100))
    with pytest.raises(InputError, match="needs both"):
        Schedule(ramp_start_tokens=16)
    with pytest.raises(InputError, match="8 is not a multiple of the sequence length 16"):
        new_recipe(schedule=Schedule(ramp_start_tokens=8, ramp_tokens=100))
    with pytest.raises(InputError, match="from 0 to 1, not 2"):
        Schedule(final_lr_ratio=2)


def test_the_printed_formula_is_what_is_computed(new_recipe):
    recipe = new_recipe(
        lr=0.5, schedule=Schedule(name="power", ramp_start_tokens=16, ramp_tokens=99)
    )
    text = " ".join(explain_schedule(recipe))
    assert "min(0.5, 4.6 x 64/4096 x n^-0.51)" in text
    assert "doubles from 16 to 64 tokens over the first 99" in text
