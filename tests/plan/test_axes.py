"""Where a recipe stands beside mixture and size, and recipes moved there."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.runs import compute_of, longer, setting_runs
from leadsman.plan.settings.vary import VarySpec
from leadsman.runs import Mixture, Run
from leadsman.train.ladder.design import ladder_recipes

SOURCES = ("web", "code", "books")
MIXTURES = (
    Mixture("natural", {"web": 7.0, "code": 2.0, "books": 1.0}),
    Mixture("selected", {"selected": 1.0}),
)
LADDER = ladder_recipes(
    MIXTURES, "d", minutes=4, vocab_size=512, seq_len=256, seed=0, precision="float32"
)


def axes_of(**changes) -> Axes:
    spec = VarySpec.model_validate(changes)
    return Axes.of(spec, MIXTURES, SOURCES, LADDER[0], keep=0.25)


@pytest.mark.parametrize("mixture", [each.name for each in MIXTURES])
@pytest.mark.parametrize("share", [0.25, 0.3, 0.123456])
def test_what_was_moved_is_told_from_the_weights_again(mixture, share):
    axes = axes_of(added_share=share, lr=[0.00123456], methods=[{"gstack": {"factor": 2}}])
    recipe = next(each for each in LADDER if each.mixture.name == mixture)
    assert axes.departed(recipe) == {}
    for departure in axes.departures:
        moved = axes.moved(recipe, {departure.axis: departure.value})
        if departure.axis == "keep" and mixture == "natural":
            assert moved == recipe
            continue
        assert axes.departed(moved) == {departure.axis: departure.value}
        assert axes.row(moved)["mixture"] == mixture
        assert sum(moved.mixture.weights.values()) == pytest.approx(1)
        assert moved.tokens == recipe.tokens
        runs = [Run(id=moved.id, recipe=moved, bpb={"target": 1.0})]
        assert departure in axes.measured(axes.table(runs, "bpb.target")).departures


def test_several_settings_at_once_keep_their_values():
    axes = axes_of()
    recipe = next(each for each in LADDER if each.mixture.name == "selected")
    wanted = {"add.web": 0.2, "add.books": 0.1, "keep": "0.1", "lr": 0.0045, "batch_tokens": 1536.0}
    moved = axes.moved(recipe, wanted)
    assert axes.departed(moved) == wanted
    assert dict(moved.mixture.weights) == pytest.approx(
        {"selected@0.1": 0.7, "web": 0.2, "books": 0.1}
    )
    assert (
        axes.label(moved) == "selected + keep 0.1 + 20 % web + 10 % books, lr 0.0045, batch 1,536"
    )


def test_each_setting_run_has_a_twin_on_the_ladder_and_keeps_to_its_share():
    axes = axes_of()
    chosen = replace(LADDER[-1], mixture=MIXTURES[1], tokens=10 * LADDER[-1].tokens)
    found = setting_runs(axes, LADDER, chosen, share=0.25)
    assert found.twin in LADDER
    assert not found.left_out
    for departure, recipe in found.recipes.items():
        assert axes.departed(recipe) == {departure.axis: departure.value}
        assert axes.moved(found.twin, {departure.axis: departure.value}) == recipe
    spent = sum(recipe.flops for recipe in found.recipes.values())
    assert spent <= 0.25 * compute_of(LADDER)
    doubled = longer(axes, [*LADDER, *found.recipes.values()])
    assert {each.tokens for each in doubled} == {2 * found.twin.tokens}
    assert len(doubled) == len(found.recipes)


def test_what_the_share_does_not_pay_for_is_left_out_and_priced_sources_come_first():
    axes = axes_of()
    chosen = replace(LADDER[-1], mixture=MIXTURES[1])
    found = setting_runs(axes, LADDER, chosen, share=0.02, first=["books"])
    assert next(iter(found.recipes)).axis == "add.books"
    assert found.left_out
    assert len(found.left_out) + len(found.recipes) == len(axes.departures)
    spent = sum(recipe.flops for recipe in found.recipes.values())
    assert spent <= max(0.02 * compute_of(LADDER), found.twin.flops)


def test_a_setting_tried_at_one_size_is_not_told_by_the_misfit_of_the_law():
    """Most runs hold lr; a bend in size of the whole table must not be carried on as its effect.

    With lr centred on the mean of the runs, lr x size would take the bend and carry it outwards.
    """
    from leadsman.plan.decision import Dimension, Space
    from leadsman.plan.decision.effects import SettingsEffect

    rng = np.random.default_rng(0)
    params, tokens = np.meshgrid(np.geomspace(1e5, 1e6, 5), np.geomspace(1e6, 1e7, 5))
    frame = pl.DataFrame({"params": params.ravel(), "tokens": tokens.ravel()})
    frame = frame.with_columns(lr=pl.lit(0.006))
    tried = pl.DataFrame({"params": [3e5] * 2, "tokens": [3e6] * 2, "lr": [0.003, 0.012]})
    table = pl.concat([frame, tried])
    bend = 0.003 * (np.log(table["params"].to_numpy()) - np.log(3e5))  # what no law caught
    effect = np.where(table["lr"].to_numpy() == 0.012, -0.02, 0.0)
    noise = 0.001 * rng.standard_normal(len(table))
    space = Space({"params": Dimension(low=1e5, high=1e7), "tokens": Dimension(low=1e6, high=1e8),
                   "lr": Dimension(low=0.003, high=0.012)})  # fmt: skip
    learned = SettingsEffect(space, skip=("params", "tokens"))
    learned.fit(table, bend + effect + noise, worlds=2000, rng=rng)
    large = pl.DataFrame({"params": [1e7] * 2, "tokens": [1e8] * 2, "lr": [0.006, 0.012]})
    draws = learned.draws(large, slice(None))
    gap = draws[:, 1] - draws[:, 0]
    assert gap.mean() == pytest.approx(-0.02, abs=0.01)
    near = pl.DataFrame({"params": [3e5] * 2, "tokens": [3e6] * 2, "lr": [0.006, 0.012]})
    there = learned.draws(near, slice(None))
    assert gap.std() > 1.5 * (there[:, 1] - there[:, 0]).std()
