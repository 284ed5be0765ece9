"""Continuing a given model beside training from fresh weights, in a world whose law is known."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leadsman.errors import BudgetError, DesignError
from leadsman.humanize import base_of, way_and_mixture
from leadsman.plan import Plan, Project, conclude
from leadsman.plan.account.account import starts_of
from leadsman.plan.adaptive import first_round
from leadsman.plan.decision import series as decision_series
from leadsman.plan.designed import Designed
from leadsman.plan.settings import believe
from leadsman.plan.settings.runs import setting_runs
from leadsman.plan.soundings import check_budget, final_options, refusal, sounding_recipes
from leadsman.plan.starts import Start, StartSpec
from leadsman.plan.workspace import Workspace
from leadsman.runs import Mixture, Run
from leadsman.train.defaults import shape_of_width
from leadsman.train.ladder import plan_trunks

Y = "bpb.target"
QUALITY = {"natural": 1.0, "selected": 3.0}
MIXTURES = [Mixture(name, {name: 1.0}) for name in QUALITY]
SHAPE = shape_of_width(96, vocab_size=2048, seq_len=256)
START = Start(StartSpec(name="tiny", path="tiny"), "w" * 16, SHAPE, Path("t.json"), "{}", 2048)
SETS = {"natural": 1e8, "selected": 1e8, "selected@0.1": 5e7, "web": 1e8}
TOKENS = {
    "vocab_size": 2048, "data": "d", "full": SETS,
    "sets": {name: {"tokens": size} for name, size in SETS.items()},
}  # fmt: skip
HEAD_START = 3e5
"""Tokens that the given model is ahead by, of any text; within the lengths sounded."""
SMALL, LARGE = 3e12, 2e13


def project(flops: float, **changes) -> Project:
    fields = {
        "sources": [{"name": "web", "path": "w.jsonl"}], "target": {"path": "t.jsonl"},
        "budget": {"flops": flops}, "vary": {"lr": [], "batch_tokens": [], "added_share": 0},
        "soundings": {"minutes": 3.5, "mixtures": list(QUALITY)},
        "starts": [{"name": "tiny", "path": "tiny"}],
    }  # fmt: skip
    return Project.model_validate(fields | changes)


@cache
def series():
    return START.series(MIXTURES, "d", seed=0)


@cache
def ladder(beside: bool = True):
    return sounding_recipes(
        project(SMALL).soundings, MIXTURES, vocab_size=2048, data="d", seed=0,
        beside=series() if beside else (),
    )  # fmt: skip


def truth(recipe) -> float:
    """Without noise: fresh, Chinchilla's law; continued, a head start and a floor a little higher.

    A selected token is worth three natural ones; keeping a tenth is worth 2 %.
    """
    mixture = way_and_mixture(base_of(recipe.mixture.name), recipe.start)[1]
    tokens = QUALITY[mixture] * recipe.tokens
    floor = 0.9 + 9 / recipe.shape.non_embedding_params**0.25
    keep = 0.98 if "selected@0.1" in recipe.mixture.weights else 1.0
    if recipe.start:
        return keep * (floor + 0.08 + 45 / (tokens + HEAD_START) ** 0.4)
    return keep * (floor + 90 / tokens**0.4)


def done(recipe) -> Run:
    noise = np.random.default_rng(int(recipe.id, 16)).normal(0, 0.002)
    return Run(id=recipe.id, recipe=recipe, bpb={"target": truth(recipe) * np.exp(noise)})


def planned(where: Path, flops: float) -> Plan:
    given = project(flops)
    found = Designed(given, MIXTURES, TOKENS, ladder(), series(), [START.to_dict()])
    runs = [done(recipe) for recipe in ladder()]
    first = conclude.first_choice(found, runs)
    tried = setting_runs(found.axes, ladder(), first, share=given.vary.share)
    runs += [done(recipe) for recipe in tried.recipes.values()]
    return Plan.from_dict(conclude.conclude(found, runs, Workspace(where))["plan"])


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    """Quicker: what is tested needs no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(believe, "WORLDS", 1000)
        patch.setattr(conclude, "DRAWS", 1000)
        patch.setattr(decision_series, "BOOTSTRAP", 100)
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    where = tmp_path_factory.mktemp("small")
    return planned(where, SMALL), where


def check(plan: Plan) -> None:
    """The choice is nearly the best, both ways are listed, and forecasts hold the truth."""
    options = [plan.chosen, plan.naive, *plan.alternatives]
    assert truth(plan.chosen.recipe) < 1.005 * min(truth(each.recipe) for each in options)
    assert len({bool(each.recipe.start) for each in options}) == 2
    for each in options:
        assert 0.95 < each.recipe.flops / plan.budget_flops <= 1
        low, high = each.forecast.intervals["0.95"]
        assert low < truth(each.recipe) < high, each.label
        if each.recipe.start:
            assert "continue tiny: " in each.forecast.law
    naive, chosen = plan.naive.recipe, plan.chosen.recipe
    assert (naive.start, naive.shape) == (chosen.start, chosen.shape)
    assert way_and_mixture(naive.mixture.name, naive.start)[1] == "natural"


def test_continuing_wins_at_a_small_budget(small):
    plan = small[0]
    check(plan)
    assert plan.chosen.recipe.start == START.id
    assert plan.chosen.recipe.shape == SHAPE
    assert base_of(plan.chosen.recipe.mixture.name) == "continue tiny on selected"


@pytest.mark.slow
def test_a_whole_plan_at_a_large_budget_starts_fresh(tmp_path):
    plan = planned(tmp_path, LARGE)
    check(plan)
    assert not plan.chosen.recipe.start
    assert base_of(plan.chosen.recipe.mixture.name) == "selected"


def test_settings_are_tried_on_what_is_ahead_and_found_there(small):
    plan = small[0]
    assert "selected@0.1" in plan.chosen.recipe.mixture.weights
    effects = {each["value"]: each["effect"] for each in plan.details["settings"]}
    assert effects["0.1"] == pytest.approx(-0.02, abs=0.008)


def test_the_account_and_the_page_know_both(small):
    plan, where = small
    assert plan.details["starts"] == [START.to_dict()]
    assert not any(each["axis"] == "adapt or pretrain" for each in plan.details["kept"])
    stored = pl.read_parquet(where / "plan_draws.parquet")
    assert {"continue tiny on natural", "natural"} <= set(stored["mixture"])


def test_a_base_model_that_is_better_as_it_is_is_warned_of(small):
    found = Designed(
        project(SMALL), MIXTURES, TOKENS, ladder(), series(),
        [{"name": "good", "as_it_is": 0.5}, {"name": "poor", "as_it_is": 9.0}],
    )  # fmt: skip
    good, poor = starts_of(found, small[0])
    assert "good as it is gives 0.5000" in good["warning"]
    assert "warning" not in poor


def test_a_fresh_start_wins_at_a_large_budget_and_is_believed_the_same_beside_a_given_model():
    given = project(LARGE)
    alone = Designed(given, MIXTURES, TOKENS, ladder())
    beside = Designed(given, MIXTURES, TOKENS, ladder(), series())
    runs = [done(recipe) for recipe in ladder()]
    fresh = [run for run in runs if not run.recipe.start]
    draws = []
    for found, known in ((alone, fresh), (beside, runs)):
        axes = found.axes.measured(table := found.axes.table(known, Y))
        belief = believe.belief_of_soundings(table, found.options(), axes, TOKENS, y=Y, seed=0)
        draws.append(belief.draws(axes.points(found.options())))
    options = beside.options()
    assert len({each.mixture.name for each in options if each.start}) == len(MIXTURES)
    assert np.array_equal(draws[0], draws[1][:, [not each.start for each in options]])
    best = options[int(draws[1].mean(axis=0).argmin())]
    assert (best.start, best.mixture.name) == ("", "selected")
    assert truth(best) < 1.005 * min(truth(each) for each in options)


def test_a_given_model_is_sounded_on_one_trunk_a_mixture_within_the_minutes():
    plain = [each for each in ladder() if not each.start]
    given = [each for each in ladder() if each.start]
    assert len({each.trunk_id for each in given}) == len(MIXTURES)
    assert [len({each.tokens for each in given if each.mixture == s.mixture}) for s in series()] \
        == [6, 6]  # fmt: skip
    assert max(each.flops for each in given) <= 1.01 * max(each.flops for each in plain)
    assert sum(each.flops for each in plain) < sum(each.flops for each in ladder(beside=False))
    jobs = plan_trunks(
        ladder(), sources={}, held_out={}, ledger="", work="", starts={START.id: "/tiny"}
    )
    assert {job.start for job in jobs if job.recipes[0].start} == {"/tiny"}
    assert {job.start for job in jobs if not job.recipes[0].start} == {""}
    first = [each for each in first_round(ladder()) if each.start]
    assert len(first) == 4 * len(MIXTURES)  # its law needs as many


def test_a_fresh_mixture_may_be_called_anything():
    law = Mixture("notes on law", {"law": 1.0})
    two = START.series([law], "d", seed=0)
    assert [each.mixture.name for each in two] == ["continue tiny on notes on law"]
    found = Designed(project(SMALL), [law], TOKENS, ladder(), two)
    assert found.axes.ways == {"continue tiny on notes on law": "continue tiny"}
    assert way_and_mixture(law.name, "") == ("", "notes on law")
    assert way_and_mixture(two[0].mixture.name, two[0].start)[1] == "notes on law"


def test_rates_of_a_start_are_series_of_their_own_and_not_departures():
    spec = StartSpec(name="tiny", path="tiny", lr=(0.006, 0.002))
    two = replace(START, spec=spec).series(MIXTURES, "d", seed=0)
    assert [each.lr for each in two] == [0.006, 0.006, 0.002, 0.002]
    found = Designed(project(SMALL, vary={"keep": []}), MIXTURES, TOKENS, ladder(), two)
    low = two[-1]
    assert low.mixture.name == "continue tiny at lr 0.002 on selected"
    assert found.axes.departed(low) == {}
    tried = setting_runs(found.axes, [*ladder(), low], low, share=1.0)
    assert {each.axis for each in tried.recipes} == {"batch_tokens", "add.web"}
    assert all(recipe.lr == 0.002 and recipe.start for recipe in tried.recipes.values())
    assert {found.axes.row(recipe)["mixture"] for recipe in tried.recipes.values()} == {
        low.mixture.name
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": {"flops": SMALL, "max_params": 100_000}}, "at most 100,000 parameters may be"),
        ({"decision": {"memory_gb": 0.001}}, "a device has 0.001 GB of memory, but the base model"),
        ({"budget": {"flops": 1e11}}, "the base model 'tiny' has 332,448 parameters and needs"),
    ],
)
def test_a_start_beyond_a_limit_is_refused_in_words(changes, message):
    assert message in refusal(project(SMALL, **changes), START)
    assert refusal(project(SMALL), START) is None


def test_a_start_too_large_for_the_minutes_is_told_before_any_work():
    large = replace(START, shape=shape_of_width(1024, vocab_size=2048, seq_len=256))
    with pytest.raises(BudgetError, match="ladder of 2 mixtures and 2 series of a given model; "):
        check_budget(project(1e16), [large])


def test_serving_and_passes_bind_a_given_model_too():
    served = project(SMALL, serving={"tokens": 1e5})
    options = final_options(served, MIXTURES, vocab_size=2048, data="d", full=SETS, beside=series())
    plain = final_options(
        project(SMALL), MIXTURES, vocab_size=2048, data="d", full=SETS, beside=series()
    )
    tokens = [next(o.tokens for o in each if o.start) for each in (options, plain)]
    assert tokens[0] < tokens[1]
    few = project(SMALL, decision={"max_epochs": 2})
    left = final_options(
        few, MIXTURES, vocab_size=2048, data="d", full=SETS | {"natural": 1e5}, beside=series()
    )
    assert {each.mixture.name for each in left if each.start} == {"continue tiny on selected"}


def test_a_given_model_whose_runs_all_failed_is_said():
    found = Designed(project(SMALL), MIXTURES, TOKENS, ladder(), series())
    runs = [done(recipe) for recipe in ladder() if not recipe.start]
    with pytest.raises(DesignError, match="no run of continue tiny finished"):
        conclude.first_choice(found, runs)
