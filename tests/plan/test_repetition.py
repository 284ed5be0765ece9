"""Text that is read several times: closed forms, and plans in worlds whose decay is known."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from leadsman.laws.methods.data_constrained import saturate
from leadsman.plan import Project
from leadsman.plan.account.limits import epochs_of_plan
from leadsman.plan.data import readable_tokens
from leadsman.plan.decide import decide
from leadsman.plan.decision import BeliefOfRuns, Dimension, Space
from leadsman.plan.decision.repetition import DecayPrior, Repetition
from leadsman.plan.decision.space import at_share
from leadsman.plan.designed import Designed
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.believe import belief_of_soundings
from leadsman.plan.settings.reads import PointReads
from leadsman.plan.soundings import sounding_recipes
from leadsman.plan.table import TableSpec
from leadsman.plan.table.limits import repetition_of
from leadsman.runs import Mixture, Run

Y = "bpb.target"
SIZE = 1e6


def two_sources(points):
    """A quarter of the tokens from a small source, the rest from one without end."""
    return (
        np.tile([0.25, 0.75], (len(points), 1)),
        np.tile([SIZE, np.inf], (len(points), 1)),
    )


def known(constant):
    """One decay, whatever the size."""
    return DecayPrior(centre=float(np.log(constant)), slope=0.0, spread=1e-9)


def points_of(passes, params=1e5):
    tokens = 4 * SIZE * np.asarray(passes, dtype=float)
    return pl.DataFrame({"params": np.full(len(tokens), params), "tokens": tokens})


def test_worth_is_the_closed_form_for_each_source():
    passes = np.array([0.5, 1.0, 2.0, 7.0])
    repetition = Repetition(two_sources, prior=known(5.0))
    fresh = np.array([0.5, 1.0, 1 + 5 * (1 - np.exp(-1 / 5)), 1 + 5 * (1 - np.exp(-6 / 5))])
    wanted = 0.25 * fresh / passes + 0.75
    assert repetition.worth(points_of(passes), 0.0) == pytest.approx(wanted, rel=1e-12)
    assert repetition.passes(points_of(passes))[:, 0] == pytest.approx(passes)
    assert repetition.repeats(points_of(passes)).tolist() == [False, False, True, True]


def test_limits_of_the_decay():
    points = points_of([1.0, 3.0, 12.0])
    free = Repetition(two_sources, prior=known(1e9)).worth(points, 0.0)
    assert free == pytest.approx(1.0, abs=1e-6)
    worthless = Repetition(two_sources, prior=known(1e-9)).worth(points, 0.0)
    assert worthless == pytest.approx([1.0, 0.75 + 0.25 / 3, 0.75 + 0.25 / 12])
    often = Repetition(two_sources, prior=known(5.0)).worth_of_passes(points_of([1e6]), 0.0)
    assert often[0, 0] == pytest.approx(6.0)  # 1 + R* at the most


def test_more_text_for_the_size_repeats_better_and_worlds_differ():
    repetition = Repetition(two_sources)
    small, large = (points_of([8.0], params) for params in (1e4, 1e7))
    assert repetition.worth(small, 0.0)[0] > repetition.worth(large, 0.0)[0]
    worlds = repetition.worth(large, np.array([-2.0, 0.0, 2.0]))
    assert worlds.shape == (3, 1)
    assert (np.diff(worlds[:, 0]) > 0).all()
    assert worlds[1] == repetition.worth(large, 0.0)


def test_a_point_reads_what_its_mixture_and_settings_say():
    mixture = Mixture("selected", {"selected": 1.0})
    axes = Axes({"selected": mixture, "natural": Mixture("natural", {"web": 0.5, "law": 0.5})},
                0.25, {}, ())  # fmt: skip
    reads = PointReads(axes, {"selected": 4e6, "selected@0.1": 1e6, "web": 1e7})
    points = pl.DataFrame(
        {
            "mixture": ["selected", "selected", "natural"],
            "keep": ["0.25", "0.1", "0.25"],
            "add.web": [0.0, 0.2, 0.0],
            "tokens": [8e6, 8e6, 8e6],
        }
    )
    assert sorted(reads.names) == ["law", "selected", "web"]
    assert reads.passes(points, "selected") == pytest.approx([2.0, 6.4, 0.0])
    assert reads.passes(points, "web") == pytest.approx([0.0, 0.16, 0.4])
    assert reads.passes(points, "law") == pytest.approx(0.0)  # of unknown size: without end


def loss(params, tokens):
    return 0.9 + 9 / params**0.25 + 90 / tokens**0.4


@pytest.fixture(scope="module")
def beliefs():
    """Of fresh runs of one series, with and without repetition: the same seed, so the same laws."""
    rng = np.random.default_rng(0)
    params, tokens = np.meshgrid(np.geomspace(5e4, 8e5, 4), np.geomspace(5e4, SIZE, 5))
    runs = pl.DataFrame({"params": params.ravel(), "tokens": tokens.ravel()})
    noise = np.exp(0.002 * rng.standard_normal(len(runs)))
    runs = runs.with_columns(loss=pl.Series(loss(runs["params"], runs["tokens"])) * noise)
    space = Space({"params": Dimension(low=5e4, high=1e6), "tokens": Dimension(low=1e5, high=6e7)})
    fields = {"y": "loss", "worlds": 200, "seed": 1}
    repetition = Repetition(
        lambda points: (np.ones((len(points), 1)), np.full((len(points), 1), SIZE))
    )
    return SimpleNamespace(
        plain=BeliefOfRuns(runs, space, **fields),
        repeated=BeliefOfRuns(runs, space, repetition=repetition, **fields),
        repetition=repetition,
    )


def test_a_world_asks_its_law_for_the_tokens_they_are_worth(beliefs):
    points = pl.DataFrame({"params": [1e5, 3e5, 8e5], "tokens": [9e5, 8e6, 5e7]})
    found = beliefs.repeated.draws(points)
    for world in (0, 17, int(beliefs.repeated.decay.argmin()), 199):
        own = slice(world, world + 1)
        worth = beliefs.repetition.worth(points, beliefs.repeated.decay[own])[0]
        wanted = beliefs.plain.draws(at_share(points, pl.Series(worth)), own)
        assert found[own] == pytest.approx(wanted, rel=2e-3)
        assert beliefs.repeated.draws(points, own) == pytest.approx(found[own], rel=1e-12)
    assert found[:, 0] == pytest.approx(beliefs.plain.draws(points)[:, 0], rel=1e-8)  # fresh


def test_the_forecast_is_worse_and_wider_where_text_repeats(beliefs):
    points = pl.DataFrame({"params": [1e5, 8e5], "tokens": [9e5, 5e7]})
    plain = beliefs.plain.forecast(points, draws=200, seed=0)
    found = beliefs.repeated.forecast(points, draws=200, seed=0)
    assert found.draws[:, 0] == pytest.approx(plain.draws[:, 0], rel=1e-3)
    assert found.quantile(0.5)[1] > plain.quantile(0.5)[1] * 1.01
    spread = [np.log(each.draws[:, 1]).std() for each in (plain, found)]
    assert spread[1] > spread[0]


QUALITY = {"natural": 1.0, "uniform": 0.8, "selected": 3.0}
MIXTURES = [Mixture(name, {name: 1.0}) for name in QUALITY]
SIZES = {"natural": 1e9, "uniform": 1e9, "selected": 5e5}


def truth(recipe, constant):
    """A selected token is worth three others; there are few of them."""
    name = recipe.mixture.name
    used = np.array([float(recipe.tokens)])
    tokens = saturate(np.minimum(used, SIZES[name]), used, constant)[0]
    return float(loss(recipe.shape.non_embedding_params, QUALITY[name] * tokens))


@pytest.fixture(scope="module", params=["worthless", "free"])
def world(request):
    """A plan after soundings that read the selected text up to five times; it reads more."""
    constant = {"worthless": 0.05, "free": 1e6}[request.param]
    project = Project.model_validate(
        {
            "sources": [{"name": "web", "path": "w.jsonl"}], "target": {"path": "t.jsonl"},
            "budget": {"flops": 2e13}, "soundings": {"widths": [56, 72, 96, 128]},
            "vary": {"lr": [], "batch_tokens": [], "keep": [], "added_share": 0},
        }
    )  # fmt: skip
    ladder = sounding_recipes(project.soundings, MIXTURES, vocab_size=2048, data="d", seed=0)
    tokens = {
        "vocab_size": 2048, "data": "d", "full": SIZES,
        "sets": {name: {"tokens": size} for name, size in SIZES.items()},
    }  # fmt: skip
    found = Designed(project, MIXTURES, tokens, ladder)
    rng = np.random.default_rng(3)
    runs = [
        Run(id=each.id, recipe=each,
            bpb={"target": truth(each, constant) * np.exp(0.002 * rng.standard_normal())})
        for each in ladder
    ]  # fmt: skip
    table, options = found.axes.table(runs, Y), found.options()
    axes = found.axes.measured(table)
    belief = belief_of_soundings(table, options, axes, tokens, y=Y, seed=0)
    plan = decide(
        options, lambda points: belief.forecast(points, draws=2000, seed=0), belief=belief,
        columns=axes.points, budget_flops=2e13, sounding_flops=0.0, fitted_on=(), created="",
    )  # fmt: skip
    return SimpleNamespace(
        name=request.param, constant=constant, plan=plan, found=found, axes=axes, belief=belief
    )


def test_the_plan_keeps_more_text_where_repeats_are_worthless_and_less_where_free(world):
    chosen = world.plan.chosen.recipe
    assert chosen.mixture.name == {"worthless": "natural", "free": "selected"}[world.name]


def test_the_forecast_covers_in_both_worlds(world):
    options = (world.plan.chosen, world.plan.naive, *world.plan.alternatives)
    inside = []
    for option in options:
        low, high = option.forecast.intervals["0.95"]
        inside.append(low <= truth(option.recipe, world.constant) <= high)
    assert np.mean(inside) >= 0.9
    assert inside[0]


def test_soundings_that_repeat_text_tell_of_the_decay(world):
    """In standard deviations of the prior: what was planted is far off on both sides."""
    middle = np.median(world.belief.ways[0].belief.decay)
    assert middle < -1.5 if world.name == "worthless" else middle > 0.5


def test_the_plan_says_what_the_repeats_are_worth(world):
    options = (world.plan.chosen, world.plan.naive, *world.plan.alternatives)
    selected = [each.recipe for each in options if each.recipe.mixture.name == "selected"]
    recipe = max(selected, key=lambda each: each.tokens)
    (row,) = epochs_of_plan(world.found, world.axes, world.belief, recipe)
    used = np.array([float(recipe.tokens)])
    wanted = saturate(np.full(1, SIZES["selected"]), used, world.constant)[0] / SIZES["selected"]
    assert row["epochs"] == pytest.approx(recipe.tokens / SIZES["selected"])
    assert row["worth_low"] <= row["worth"] <= row["worth_high"] <= row["epochs"]
    assert row["worth"] == pytest.approx(wanted, rel=0.35)
    said = f"is read {row['epochs']:.3g} times: worth {row['worth']:.2g} times as much fresh text"
    assert said in row["warning"]
    natural = next(each.recipe for each in options if each.recipe.mixture.name == "natural")
    (row,) = epochs_of_plan(world.found, world.axes, world.belief, natural)
    assert "worth" not in row
    assert "warning" not in row


def test_a_plan_from_a_table_counts_repeats_of_its_text():
    fields = {
        "space": {
            "params": {"low": 1e7, "high": 1e9}, "tokens": {"low": 1e8, "high": 1e11},
            "mix.web": {"low": 0.1, "high": 1}, "mix.law": {"low": 0.1, "high": 1},
        },
        "budget": {"flops": 1e19},
    }  # fmt: skip
    points = pl.DataFrame(
        {"params": [1e8], "tokens": [4e9], "mix.web": [0.75], "mix.law": [0.25], "keep": [0.5]}
    )
    sources = {"web": {"tokens": 1e12}, "law": {"tokens": 2.5e8}}
    by_source = repetition_of(TableSpec.model_validate(fields | {"sources": sources}), points)
    assert by_source is not None
    assert by_source.passes(points)[0] == pytest.approx([0.003, 4.0])
    whole = repetition_of(TableSpec.model_validate(fields | {"unique_tokens": 1e9}), points)
    assert whole is not None
    assert whole.passes(points)[0] == pytest.approx([8.0])  # half of the text is kept
    assert whole.worth(points, 0.0) < by_source.worth(points, 0.0) < 1
    assert repetition_of(TableSpec.model_validate(fields), points) is None
    told = points.with_columns(unique_tokens=1e9)
    assert repetition_of(TableSpec.model_validate(fields | {"sources": sources}), told) is None


def test_a_run_made_here_reads_what_is_here_of_free_sources():
    tokens = {
        "full": {"web": 1e9, "selected": 4e8, "law": 1e8},
        "sets": {"web": {"tokens": 2e6}, "selected": {"tokens": 1e6}, "law": {"tokens": 1e5},
                 "target": {"tokens": 5e4}},
    }  # fmt: skip
    assert readable_tokens(tokens, ["law"]) == {"web": 2e6, "selected": 1e6}
