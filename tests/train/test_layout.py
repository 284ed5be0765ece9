from __future__ import annotations

import math
from dataclasses import replace

import polars as pl
import pytest
import torch

from leadsman.engine import LocalEngine
from leadsman.errors import InputError
from leadsman.runs import Ledger, Schedule
from leadsman.train.ladder import TrunkJob, progress, run_trunk, train_ladder
from leadsman.train.layout import Layout, choose_layout, lay_out
from leadsman.train.layout.layouts import largest_stack
from leadsman.train.loop import Trainer
from leadsman.train.stacked import StackedTrainer

STACKED = Layout("stacked", workers=1, stack=8)
ALONE = Layout("processes", workers=1)


@pytest.fixture
def fields(paths, tmp_path):
    def make(name: str = "one"):
        return {
            "sources": paths,
            "held_out": {"prose": paths["prose"]},
            "ledger": str(tmp_path / name / "ledger"),
            "work": str(tmp_path / name / "work"),
        }

    return make


def design(new_recipe, seeds=(0, 1, 2), tokens=(10, 20)):
    return [new_recipe(tokens=64 * n, seed=seed) for seed in seeds for n in tokens]


def test_every_way_gives_the_same_runs(new_recipe, fields):
    recipes = design(new_recipe)
    ledgers = []
    for name, layout in (("alone", ALONE), ("stacked", STACKED)):
        jobs = lay_out(recipes, layout, **fields(name))
        train_ladder(jobs, LocalEngine(1))
        ledgers.append(Ledger(fields(name)["ledger"]))
    alone, stacked = ledgers
    assert len(jobs) == 1
    assert jobs[0].tokens == sum(job.tokens for job in lay_out(recipes, ALONE, **fields()))
    for recipe in recipes:
        one, other = alone.get(recipe.id), stacked.get(recipe.id)
        assert other.status == "finished"
        assert other.epochs == one.epochs
        curves = alone.curve(recipe.id), stacked.curve(recipe.id)
        for column in ("step", "tokens", "lr"):
            assert curves[0][column].equals(curves[1][column])
        assert curves[1]["loss"].to_list() == pytest.approx(curves[0]["loss"].to_list(), rel=1e-3)
        assert other.losses["prose"] == pytest.approx(one.losses["prose"], rel=1e-3)


def test_stacks_are_equal_in_size_and_of_one_kind(new_recipe, fields):
    recipes = design(new_recipe, seeds=range(5))
    other = new_recipe(tokens=640, shape=replace(recipes[0].shape, layers=1))
    lion = new_recipe(tokens=640, optimizer="lion")
    cosine = [
        new_recipe(tokens=64 * n, schedule=Schedule(name="cosine", warmup_tokens=64), seed=9)
        for n in (10, 20)
    ]
    jobs = lay_out([*recipes, other, lion, *cosine], replace(STACKED, stack=3), **fields())
    assert sorted(len(job.trunks) for job in jobs) == [1, 1, 1, 2, 3]
    ids = [recipe.id for job in jobs for recipe in job.all_recipes]
    assert sorted(ids) == sorted(r.id for r in [*recipes, other, lion, *cosine])


@pytest.mark.parametrize("stop_after", [1, 7, 9, 12, 17, 20])
def test_a_stopped_stack_continues_to_the_same_results(new_recipe, fields, interrupted, stop_after):
    recipes = design(new_recipe, seeds=(0, 1))
    (job,) = lay_out(recipes, STACKED, **fields("whole"))
    run_trunk(job)
    (job,) = lay_out(recipes, STACKED, **fields("killed"), checkpoint_seconds=0.0)
    with interrupted(StackedTrainer, stop_after):
        run_trunk(job)
    run_trunk(job)
    whole, again = Ledger(fields("whole")["ledger"]), Ledger(fields("killed")["ledger"])
    for recipe in recipes:
        assert whole.get(recipe.id).losses == again.get(recipe.id).losses
        assert whole.curve(recipe.id).equals(again.curve(recipe.id))
    assert progress([job])[0].tokens == job.tokens


def test_a_diverging_replica_is_a_failed_run_and_the_others_finish(new_recipe, fields):
    wild = [new_recipe(tokens=64 * n, lr=1e5, schedule=Schedule()) for n in (10, 20)]
    calm = [new_recipe(tokens=64 * n, schedule=Schedule()) for n in (10, 20)]
    (job,) = lay_out([*wild, *calm], STACKED, **fields())
    run_trunk(job)
    ledger = Ledger(job.ledger)
    for recipe in wild:
        run = ledger.get(recipe.id)
        assert run.status == "failed"
        assert "diverged at step" in run.reason
        assert 0 < len(ledger.curve(recipe.id)) < 10
    assert all(ledger.get(recipe.id).status == "finished" for recipe in calm)


def test_a_stack_started_again_redoes_only_what_failed(new_recipe, fields, monkeypatch):
    wild = new_recipe(tokens=640, lr=1e5, schedule=Schedule())
    calm = [new_recipe(tokens=640, seed=seed, schedule=Schedule()) for seed in (0, 1)]
    (job,) = lay_out([wild, *calm], STACKED, **fields())
    run_trunk(job)
    seen = []
    one_step = Trainer._one_step
    monkeypatch.setattr(
        Trainer, "_one_step", lambda self, lr: (seen.append(self.recipe.lr), one_step(self, lr))[1]
    )
    monkeypatch.setattr(StackedTrainer, "_one_step", None)
    assert run_trunk(job) == [recipe.id for recipe in job.all_recipes]
    assert set(seen) == {1e5}
    assert Ledger(job.ledger).get(calm[0].id).status == "finished"


class AboveRival:
    """Stops what is above the best rival so far; counts how often it was asked."""

    def __call__(self, curve, rivals, *, tokens):
        rival = min(rival["loss"].tail(3).mean() for rival in rivals)
        return "too high" if curve["loss"].tail(3).mean() > rival + 0.3 else ""


@pytest.mark.parametrize("layout", [ALONE, STACKED])
def test_a_hopeless_run_is_stopped_beside_its_rivals(new_recipe, fields, layout):
    schedule = Schedule(warmup_tokens=128)
    recipes = [
        new_recipe(tokens=64 * n, lr=lr, schedule=schedule) for lr in (0.01, 1e-6) for n in (20, 40)
    ]
    jobs = [replace(job, stop_rule=AboveRival()) for job in lay_out(recipes, layout, **fields())]
    runs = {run.id: run for run in train_ladder(jobs, LocalEngine(1))}
    good, hopeless = recipes[:2], recipes[2:]
    assert [runs[recipe.id].status for recipe in good] == ["finished"] * 2
    assert [runs[recipe.id].status for recipe in hopeless] == ["stopped"] * 2
    assert "too high" in runs[hopeless[1].id].reason
    curve = Ledger(jobs[0].ledger).curve(hopeless[1].id)
    assert 2 < len(curve) < 20
    assert isinstance(curve, pl.DataFrame)
    before = [path.stat().st_mtime_ns for path in map(_run_file(jobs[0]), hopeless)]
    train_ladder(jobs, LocalEngine(1))
    assert before == [path.stat().st_mtime_ns for path in map(_run_file(jobs[0]), hopeless)]


def _run_file(job: TrunkJob):
    from pathlib import Path

    return lambda recipe: Path(job.ledger, "runs", recipe.id, "run.json")


def test_rates_decide_and_the_choice_is_kept(new_recipe, paths, tmp_path, monkeypatch):
    recipes = design(new_recipe, seeds=range(4))
    rates = {("one", 1): 100.0, ("one", 2): 120.0, ("stack", 1): 900.0}
    asked = []

    def measured(trial):
        asked.append(trial)
        return rates["stack" if trial.stack > 1 else "one", trial.threads]

    monkeypatch.setattr("leadsman.train.layout.choose.measure", measured)
    monkeypatch.setattr(
        "leadsman.train.layout.choose.LocalEngine", lambda cores: _Serial(cores or 2)
    )
    options = {"work": str(tmp_path), "seconds": 1e4, "compiled": False, "cores": 2}
    choice = choose_layout(recipes, paths, **options)
    assert choice.layout == Layout("stacked", workers=2, stack=4)
    assert choice.tokens_per_second["2 processes of one thread"] == 200
    assert "4 runs stacked in each of 2 processes: 1,800 tokens/s" in choice.reason
    count = len(asked)
    assert choose_layout(recipes, paths, **options) == choice
    assert len(asked) == count
    rates["stack", 1] = 104.0  # within 5 % of processes: not worth another way
    (tmp_path / "layout.json").unlink()
    assert choose_layout(recipes, paths, **options).layout == Layout("processes", workers=2)
    rates["one", 2] = 300.0
    (tmp_path / "layout.json").unlink()
    assert choose_layout(recipes, paths, **options).layout == Layout(
        "threads", workers=1, threads=2
    )
    (tmp_path / "layout.json").unlink()
    compiled = choose_layout(recipes, paths, **options | {"compiled": True})
    assert "stacking gains 1.04x on one thread, too little" in compiled.reason
    (tmp_path / "layout.json").unlink()
    short = choose_layout(recipes, paths, **options | {"seconds": 5.0})
    assert (short.layout, short.tokens_per_second) == (Layout("processes", workers=2), {})
    assert "not worth it" in short.reason


class _Serial:
    def __init__(self, workers):
        self.workers = workers

    def map(self, function, items):
        return ((item, function(item)) for item in items)


def test_measuring_trains_the_real_thing(new_recipe, paths, monkeypatch):
    from leadsman.train.layout import choose

    monkeypatch.setattr(choose, "MEASURE_SECONDS", 0.05)
    threads = torch.get_num_threads()
    recipe = new_recipe(tokens=64 * 500)
    alone = choose.measure(choose.Trial(recipe, paths, "cpu"))
    stacked = choose.measure(choose.Trial(recipe, paths, "cpu", stack=4))
    assert 0 < alone < math.inf
    assert 0 < stacked < math.inf
    assert torch.get_num_threads() == threads


def test_stacks_fit_the_memory(new_recipe, monkeypatch):
    recipes = design(new_recipe, seeds=range(600), tokens=(10,))
    assert largest_stack(recipes, "cpu", workers=2) == 256
    assert largest_stack(recipes[:10], "cpu", workers=2) == 5
    monkeypatch.setattr("leadsman.train.provenance.memory_bytes", lambda device: 3e9)
    assert 1 <= largest_stack(recipes, "cpu", workers=2) < 256


def test_stacked_trunks_must_go_together(new_recipe, fields):
    one, other = new_recipe(tokens=640), new_recipe(tokens=1280, seed=5)
    with pytest.raises(InputError, match="must end and begin their decays together"):
        TrunkJob(recipes=(one,), beside=((other,),), **fields())
