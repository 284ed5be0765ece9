from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from leadsman.engine import LocalEngine
from leadsman.errors import InputError
from leadsman.runs import Ledger, Mixture, Schedule
from leadsman.train.ladder import TrunkJob, plan_trunks, progress, run_trunk, train_ladder
from leadsman.train.loop import Trainer


@pytest.fixture
def job(new_recipe, paths, tmp_path):
    def make(recipes, **options):
        settings = {
            "sources": paths,
            "held_out": {"prose": paths["prose"]},
            "ledger": str(tmp_path / "ledger"),
            "work": str(tmp_path / "work"),
        }
        return TrunkJob(recipes=tuple(recipes), **(settings | options))

    return make


def test_branched_runs_equal_runs_trained_alone(job, new_recipe, tmp_path):
    recipes = [new_recipe(tokens=64 * n) for n in (10, 20, 40)]
    run_trunk(job(recipes))
    branched = Ledger(str(tmp_path / "ledger"))
    for number, recipe in enumerate(recipes):
        alone = str(tmp_path / f"alone{number}")
        run_trunk(job([recipe], ledger=alone, work=f"{tmp_path}/work{number}"))
        one, other = branched.get(recipe.id), Ledger(alone).get(recipe.id)
        assert one.losses == other.losses
        assert one.bpb == other.bpb
        assert one.epochs == other.epochs
        assert branched.curve(recipe.id).equals(Ledger(alone).curve(recipe.id))
        assert len(branched.curve(recipe.id)) == recipe.steps
    assert job(recipes).tokens == 64 * (32 + 2 + 4 + 8)


def test_training_learns_and_more_is_better(job, new_recipe, tmp_path):
    recipes = [new_recipe(tokens=64 * n) for n in (10, 160)]
    run_trunk(job(recipes, models=str(tmp_path / "models")))
    short, long = (Ledger(str(tmp_path / "ledger")).get(recipe.id) for recipe in recipes)
    assert long.losses["prose"] < short.losses["prose"] - 0.5 < math.log(320)
    assert long.status == "finished"
    assert long.tokens_per_second > 0
    assert (tmp_path / "models" / long.id / "config.json").exists()


@pytest.mark.parametrize("stop_after", [1, 11, 17, 20, 25, 31])
def test_a_stopped_trunk_continues_to_the_same_results(
    job, new_recipe, tmp_path, monkeypatch, interrupted, stop_after
):
    recipes = [new_recipe(tokens=64 * n) for n in (10, 20, 30)]
    run_trunk(job(recipes, ledger=str(tmp_path / "undisturbed"), work=str(tmp_path / "w")))
    stopped = job(recipes, checkpoint_seconds=0.0)
    with interrupted(Trainer, stop_after):
        run_trunk(stopped)
    one_step, redone = Trainer._one_step, 0

    def counted(self, lr):
        nonlocal redone
        redone += 1
        return one_step(self, lr)

    monkeypatch.setattr(Trainer, "_one_step", counted)
    run_trunk(stopped)
    assert redone == 24 + 2 + 4 + 6 - stop_after
    undisturbed, ledger = Ledger(str(tmp_path / "undisturbed")), Ledger(stopped.ledger)
    for recipe in recipes:
        assert ledger.get(recipe.id).losses == undisturbed.get(recipe.id).losses
        assert ledger.curve(recipe.id).equals(undisturbed.curve(recipe.id))
    (state,) = progress([stopped])
    assert state.tokens == state.total_tokens == stopped.tokens


@pytest.mark.parametrize(
    ("stop_after", "added"), [(3, 6), (12, 6), (18, 6), (33, 6), (18, 14), (33, 14), (33, 60)]
)
def test_runs_added_after_a_kill_are_those_of_an_undisturbed_ladder(
    job, new_recipe, tmp_path, interrupted, stop_after, added
):
    """``added`` tokens, in batches, may branch before the place where the kill left the trunk."""
    planned = [new_recipe(tokens=64 * n) for n in (10, 20, 30)]
    wanted = sorted([*planned, new_recipe(tokens=64 * added)], key=lambda recipe: recipe.tokens)
    run_trunk(job(wanted, ledger=str(tmp_path / "undisturbed"), work=str(tmp_path / "w")))
    with interrupted(Trainer, stop_after):
        run_trunk(job(planned, checkpoint_seconds=0.0))
    run_trunk(job(wanted))
    undisturbed, ledger = Ledger(str(tmp_path / "undisturbed")), Ledger(str(tmp_path / "ledger"))
    for recipe in wanted:
        assert ledger.get(recipe.id).losses == undisturbed.get(recipe.id).losses
        assert ledger.curve(recipe.id).equals(undisturbed.curve(recipe.id))


def test_finished_runs_are_not_redone(job, new_recipe, monkeypatch):
    first, second = (new_recipe(tokens=64 * n) for n in (10, 20))
    run_trunk(job([first]))
    steps = []
    one_step = Trainer._one_step
    monkeypatch.setattr(Trainer, "_one_step", lambda s, lr: (steps.append(lr), one_step(s, lr))[1])
    run_trunk(job([first, second]))
    assert len(steps) == 20
    run_trunk(job([first, second]))
    assert len(steps) == 20


@pytest.mark.parametrize("stop_after", [None, 1, 5, 11])
def test_longer_runs_go_on_from_a_kept_trunk(
    job, new_recipe, tmp_path, monkeypatch, interrupted, stop_after
):
    """Round after round: 8 + 2, then 8 + 4, then a shorter one from the beginning."""
    rounds = [[new_recipe(tokens=64 * n)] for n in (10, 20, 15)]
    wanted = sorted((each for r in rounds for each in r), key=lambda recipe: recipe.tokens)
    run_trunk(job(wanted, ledger=str(tmp_path / "undisturbed"), work=str(tmp_path / "w")))
    run_trunk(job(rounds[0], keep_trunk=True))
    second = job(rounds[1], keep_trunk=True, checkpoint_seconds=0.0)
    if stop_after is not None:
        with interrupted(Trainer, stop_after):
            run_trunk(second)
    one_step, steps = Trainer._one_step, []
    monkeypatch.setattr(Trainer, "_one_step", lambda s, lr: (steps.append(lr), one_step(s, lr))[1])
    run_trunk(second)
    assert len(steps) == 8 + 4 - (stop_after or 0)
    assert progress([second])[0].tokens == second.tokens
    run_trunk(job(rounds[2]))
    assert not list((tmp_path / "work" / "checkpoints").glob("*"))
    undisturbed, ledger = Ledger(str(tmp_path / "undisturbed")), Ledger(second.ledger)
    for recipe in wanted:
        assert ledger.get(recipe.id).losses == undisturbed.get(recipe.id).losses
        assert ledger.curve(recipe.id).equals(undisturbed.curve(recipe.id))


def test_a_ladder_over_two_processes_equals_one(new_recipe, paths, tmp_path):
    recipes = [
        new_recipe(tokens=64 * n, mixture=Mixture(name, {"prose": share, "code": 1 - share}))
        for n in (10, 20)
        for name, share in [("a", 0.2), ("b", 0.8)]
    ]
    runs = {}
    for workers in (1, 2):
        jobs = plan_trunks(
            [*recipes, recipes[0]],
            sources=paths,
            held_out={"code": paths["code"]},
            ledger=str(tmp_path / f"ledger{workers}"),
            work=str(tmp_path / f"work{workers}"),
        )
        assert len(jobs) == 2
        seen = []
        runs[workers] = train_ladder(jobs, LocalEngine(workers), on_progress=seen.append)
        assert sum(state.tokens for state in seen[-1]) == sum(job.tokens for job in jobs)
    assert [run.losses for run in runs[1]] == [run.losses for run in runs[2]]
    assert {run.id for run in runs[1]} == {recipe.id for recipe in recipes}


def test_jobs_take_turns_over_shapes(new_recipe, paths, tmp_path):
    small = new_recipe().shape
    large = replace(small, width=64)
    recipes = [new_recipe(shape=shape, seed=seed) for shape in (small, large) for seed in range(3)]
    jobs = plan_trunks(
        recipes, sources=paths, held_out={}, ledger=str(tmp_path), work=str(tmp_path)
    )
    assert [job.recipes[0].shape.width for job in jobs] == [64, 32] * 3


def test_a_diverging_run_is_written_as_failed_and_does_not_stop_the_others(
    job, new_recipe, tmp_path
):
    wild = new_recipe(lr=1e6, schedule=Schedule(name="constant"))
    run_trunk(job([wild]))
    run = Ledger(str(tmp_path / "ledger")).get(wild.id)
    assert run.status == "failed"
    assert "diverged at step" in run.reason
    assert "lower lr" in run.reason


def test_bad_jobs_are_named(job, new_recipe, tmp_path, paths):
    with pytest.raises(InputError, match="differ in tokens only"):
        job([new_recipe(), new_recipe(seed=9)])
    with pytest.raises(InputError, match="draws from 'books'"):
        run_trunk(job([new_recipe(mixture=Mixture("m", {"books": 1}))]))
    (failed,) = Ledger(str(tmp_path / "ledger"))
    assert failed.status == "failed"
    assert "'books'" in failed.reason
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch sees no CUDA device"):
            run_trunk(job([new_recipe()], device="cuda"))
    with pytest.raises(InputError, match="'tpu' is not a device"):
        run_trunk(job([new_recipe()], device="tpu"))


def test_a_damaged_or_foreign_checkpoint_is_named(job, new_recipe, tmp_path):
    mine, other = job([new_recipe()]), job([new_recipe(seed=8)])
    file = Path(mine.work, "checkpoints", f"{mine.trunk_id}.pt")
    file.parent.mkdir(parents=True)
    torch.save({"trunk_id": other.trunk_id}, file)
    with pytest.raises(InputError, match="checkpoint of another recipe"):
        run_trunk(mine)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(InputError, match="not a whole checkpoint"):
        run_trunk(mine)
    file.unlink()
    run_trunk(mine)
    assert json.loads(Path(mine.work, "progress", f"{mine.trunk_id}.json").read_text())


def test_bits_per_byte_agree_with_a_plain_sum(job, new_recipe, token_sets, tmp_path):
    recipe = new_recipe(tokens=64 * 4, schedule=Schedule(name="constant"))
    run_trunk(job([recipe]))
    run = Ledger(str(tmp_path / "ledger")).get(recipe.id)
    trainer = Trainer(recipe, token_sets)
    trainer.advance(recipe, recipe.steps)
    tokens = token_sets["prose"]
    end, seq_len = tokens.manifest.end_of_text, recipe.shape.seq_len
    stream = torch.tensor([end, *tokens.read(0, len(tokens)).tolist()])
    nats, scored = 0.0, 0
    for start in range(0, len(stream) - 1, seq_len):
        piece = stream[start : start + seq_len + 1]
        with torch.no_grad():
            logp = trainer.model(piece[None, :-1])[0].double().log_softmax(-1)
        for position, target in enumerate(piece[1:].tolist()):
            if target != end:
                nats, scored = nats - float(logp[position, target]), scored + 1
    assert run.losses["prose"] == pytest.approx(nats / scored, rel=1e-5)
    assert run.bpb["prose"] == pytest.approx(nats / math.log(2) / tokens.manifest.bytes, rel=1e-5)


def test_a_run_that_does_not_fit_is_refused_before_it_starts(job, new_recipe, monkeypatch):
    monkeypatch.setattr("leadsman.train.provenance.memory_bytes", lambda device: 10**8)
    with pytest.raises(InputError, match=r"1\.\d+ GB of memory are needed and cpu has 0\.1 GB"):
        run_trunk(job([new_recipe()]))


def test_running_out_of_memory_is_a_failed_run(job, new_recipe, tmp_path, monkeypatch):
    def full(self, lr):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B")

    monkeypatch.setattr(Trainer, "_one_step", full)
    run_trunk(job([new_recipe()]))
    (run,) = Ledger(str(tmp_path / "ledger"))
    assert run.status == "failed"
    assert "can't allocate memory" in run.reason
    assert "lower the width" in run.reason
    params = new_recipe().shape.params
    assert re.search(
        rf"{params:,} parameters at 64 tokens a batch need about 1\.1\d* GB", run.reason
    )


def test_branches_continue_their_own_base_model_on_shorter_sequences(job, new_recipe, tmp_path):
    """Two base models that read 32 tokens, continued on 16; branches equal runs done alone."""
    from leadsman.train.hf import save_hf
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize
    from leadsman.train.start import start_id

    folders, recipes = {}, []
    for seed in (1, 2):
        folder = tmp_path / f"base{seed}"
        base = Decoder(replace(new_recipe().shape, seq_len=32))
        initialize(base, seed=seed)
        save_hf(base, folder)
        folders[start_id(folder)] = str(folder)
        given = {"start": start_id(folder), "schedule": Schedule(start_lr_ratio=0.1)}
        recipes += [new_recipe(tokens=64 * n, **given) for n in (8, 16)]
    recipes.append(new_recipe(tokens=64 * 8))
    fields = {name: getattr(job(recipes[:1]), name) for name in ("sources", "held_out", "ledger")}
    jobs = plan_trunks(recipes, **fields, work=str(tmp_path / "work"), starts=folders)
    assert sorted(each.start for each in jobs) == ["", *sorted(folders.values())]
    runs = {run.id: run for run in train_ladder(jobs, LocalEngine(1))}
    assert all(run.status == "finished" for run in runs.values())
    results = [runs[recipe.id].bpb["prose"] for recipe in recipes]
    assert len(set(results)) == len(results)  # every run began where it should
    alone = str(tmp_path / "alone")
    run_trunk(job(recipes[3:4], start=folders[recipes[3].start], ledger=alone, work=f"{alone}w"))
    assert Ledger(alone).get(recipes[3].id).bpb["prose"] == results[3]
    longer = replace(recipes[0], shape=replace(recipes[0].shape, seq_len=64))
    with pytest.raises(InputError, match="continue from have seq_len 32, the recipe 64"):
        run_trunk(job([longer], start=folders[longer.start]))
