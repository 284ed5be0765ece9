"""The forecast on the board of a running plan, against the plan's own on the same finished runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from leadsman.humanize import base_of
from leadsman.plan import Plan, Project, conclude
from leadsman.plan.decision import series as decision_series
from leadsman.plan.designed import Designed
from leadsman.plan.interim import interim_forecast
from leadsman.plan.settings import believe
from leadsman.plan.settings.runs import setting_runs
from leadsman.plan.soundings import sounding_recipes
from leadsman.plan.starts import Start, StartSpec
from leadsman.plan.workspace import Workspace
from leadsman.runs import Ledger, Mixture, Run
from leadsman.train.defaults import shape_of_width

FIELDS = {
    "sources": [{"name": "web", "path": "w.jsonl"}], "target": {"path": "t.jsonl"},
    "budget": {"flops": 2e13}, "vary": {"batch_tokens": [], "lr": [], "added_share": 0},
    "soundings": {"minutes": 3.5, "mixtures": ["natural", "selected"]},
    "starts": [{"name": "tiny", "path": "tiny"}],
}  # fmt: skip
MIXTURES = [Mixture(name, {name: 1.0}) for name in ("natural", "selected")]
START = Start(
    StartSpec(name="tiny", path="tiny"), "w" * 16, shape_of_width(96, vocab_size=2048, seq_len=256),
    Path("t.json"), "{}", 2048,
)  # fmt: skip
SETS = {"natural": 1e8, "selected": 4e5, "selected@0.1": 2e5, "selected@0.5": 8e5, "web": 1e8}
"""Selected text is short: the planned run reads it many times."""


def truth(recipe) -> float:
    scatter = np.random.default_rng(int(recipe.id, 16)).normal(0, 0.002)
    worth = 3.0 if "selected" in recipe.mixture.name else 1.0
    keep = 0.99 if "selected@0.1" in recipe.mixture.weights else 1.0
    tokens = worth * recipe.tokens + (3e5 if recipe.start else 0)
    floor = 0.9 + 9 / recipe.shape.non_embedding_params**0.25
    return float(keep * (floor + 90 / tokens**0.4) * np.exp(scatter))


def done(recipe, role: str = "proxy") -> Run:
    return Run(id=recipe.id, role=role, recipe=recipe, bpb={"target": truth(recipe)})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A working directory in which all small runs are finished, and the plan made of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(believe, "WORLDS", 400)
        patch.setattr(conclude, "DRAWS", 400)
        patch.setattr(decision_series, "BOOTSTRAP", 50)
        work = tmp_path_factory.mktemp("interim") / "work"
        sets = {name: {"tokens": size} for name, size in SETS.items()}
        tokens = {"vocab_size": 2048, "data": "d", "sets": sets}
        series = START.series(MIXTURES, "d", seed=0)
        given = Project.model_validate(FIELDS)
        ladder = sounding_recipes(
            given.soundings, MIXTURES, vocab_size=2048, data="d", seed=0, beside=series
        )
        found = Designed(given, MIXTURES, tokens | {"full": SETS}, ladder, series)
        runs = [done(recipe) for recipe in ladder]
        around = next(each for each in found.options() if each.mixture.name == "selected")
        tried = setting_runs(found.axes, ladder, around, share=0.25)
        runs += [done(recipe, "setting") for recipe in tried.recipes.values()]
        ledger = Ledger(str(work / "ledger"))
        for run in runs:
            ledger.add(run)
        write(work, "project.yaml", yaml.safe_dump(FIELDS))
        write(work, "stages/tokenise.json", json.dumps({"result": tokens}))
        write(work, "stages/mixtures.json", json.dumps({"result": {"full": SETS}}))
        yield work, Plan.from_dict(conclude.conclude(found, runs, Workspace(work))["plan"])


def write(work: Path, name: str, text: str) -> None:
    (work / name).parent.mkdir(parents=True, exist_ok=True)
    (work / name).write_text(text)


def test_with_all_runs_finished_it_is_the_plans(finished):
    work, plan = finished
    assert plan.details["settings"]
    told = interim_forecast(work)
    assert told["left_out"] == []
    names = {"natural", "selected", "continue tiny on natural", "continue tiny on selected"}
    assert {each["mixture"] for each in told["intervals"]} == names
    for each in told["intervals"]:
        options = [
            option
            for option in (plan.chosen, plan.naive, *plan.alternatives)
            if option.recipe.mixture.name == each["mixture"] and option.label == each["mixture"]
        ]
        chosen = min(options, key=lambda option: option.forecast.mean)
        if each["mixture"] == "selected":
            assert chosen.recipe.tokens > 4 * SETS["selected"]
        best = chosen.forecast
        low, high = best.intervals["0.8"]
        # the plan asks for settled options too, and draws the noise of a run anew for each
        assert each["median"] == pytest.approx(best.median, rel=2e-3)
        assert [each["low"], each["high"]] == pytest.approx([low, high], rel=5e-3)


@pytest.mark.slow
def test_a_base_model_with_few_runs_waits_alone(finished, tmp_path):
    work, _ = finished
    for name in ("project.yaml", "stages/tokenise.json", "stages/mixtures.json"):
        write(tmp_path, name, (work / name).read_text())
    ledger, kept = Ledger(str(tmp_path / "ledger")), 0
    for run in Ledger(str(work / "ledger")):
        if run.recipe.start and base_of(run.recipe.mixture.name).endswith("selected"):
            kept += 1
            if kept > 5:
                continue
        if run.role == "proxy":
            ledger.add(run)
    told = interim_forecast(tmp_path)
    assert told["left_out"] == ["continue tiny on selected"]
    names = {each["mixture"] for each in told["intervals"]}
    assert names == {"natural", "selected", "continue tiny on natural"}
