"""Every method in a run: learns, resumes exactly, is exported with the same logits, is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from leadsman.engine import LocalEngine
from leadsman.errors import MethodError
from leadsman.registry import methods
from leadsman.runs import Ledger, ModelShape, Recipe, Schedule
from leadsman.train.base import RunMethod
from leadsman.train.held_out import held_out_loss
from leadsman.train.hf import load_hf
from leadsman.train.ladder import plan_trunks, run_trunk, train_ladder
from leadsman.train.loop import Trainer

SHAPE = ModelShape(
    layers=2, width=32, heads=4, kv_heads=2, ffn_width=48, vocab_size=320, seq_len=16
)
OPTIONS = {
    "adaptive_shape": {
        "laws": [
            {"width": 16, "floor": 0.0, "scale": 27.95, "exponent": 0.1},
            {"width": 32, "floor": 0.0, "scale": 179.4, "exponent": 0.2},
        ]
    },
    "gstack": {"factor": 2, "after_tokens": 640},
    "loss_reweighting": {"warmup_tokens": 256},
    "low_rank": {"rank": 8, "refactor_every": 7},
    "monarch": {"blocks": 4, "dense_from_tokens": 1280},
    "progressive_family": {"sizes": [{"width": 16, "layers": 1, "tokens": 640}]},
    "sltrain": {"rank": 8, "density": 0.1},
}
NAMES = [
    name
    for name, cls in methods("training").items()
    if issubclass(cls, RunMethod) and cls.__module__.startswith("leadsman.") and name in OPTIONS
]


def recipe_of(new_recipe, name: str, **changes: object):
    settings = {
        "tokens": 64 * 40,
        "methods": {name: OPTIONS[name]},
        "schedule": Schedule(warmup_tokens=128),
    }
    return new_recipe(**(settings | changes))


def test_every_method_of_the_room_is_tested():
    here = {
        name
        for name, cls in methods("training").items()
        if cls.__module__.startswith("leadsman.train.methods.")
    }
    assert here - {"ofa"} == set(OPTIONS)


@pytest.mark.parametrize("stop", [5, 23])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_learns_and_resumes_exactly(name, stop, new_recipe, token_sets):
    recipe = recipe_of(new_recipe, name)
    whole = Trainer(recipe, token_sets)
    whole.advance(recipe, stop)
    state = whole.state()
    whole.advance(recipe, recipe.steps)
    assert np.mean(whole.curve.loss[-5:]) < math.log(320) - 1
    again = Trainer(recipe, token_sets)
    again.load(state)
    again.advance(recipe, recipe.steps)
    assert again.curve.loss == whole.curve.loss
    for name, param in again.model.named_parameters():
        assert torch.equal(param, whole.model.get_parameter(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_ledger_path_trains_and_exports_what_was_trained(
    name, new_recipe, token_sets, paths, tmp_path
):
    recipe = recipe_of(new_recipe, name)
    jobs = plan_trunks(
        [recipe],
        sources=paths,
        held_out={"prose": paths["prose"]},
        ledger=str(tmp_path / "ledger"),
        work=str(tmp_path / "work"),
        models=str(tmp_path / "models"),
        device="cpu",
    )
    (run,) = train_ladder(jobs, LocalEngine(1))
    assert run.status == "finished"
    exported = load_hf(tmp_path / "models" / recipe.id)
    assert exported.shape == recipe.shape
    trainer = Trainer(recipe, token_sets)
    trainer.advance(recipe, recipe.steps)
    tokens = torch.randint(0, 300, (3, 16), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        torch.testing.assert_close(exported(tokens), trainer.model(tokens), rtol=1e-4, atol=5e-5)
    curve = Ledger(tmp_path / "ledger").curve(recipe.id)
    assert curve["loss"].to_list() == pytest.approx(trainer.curve.loss, abs=1e-5)


def test_two_methods_that_change_the_model_are_refused(new_recipe, token_sets):
    recipe = new_recipe(methods={"sltrain": {"rank": 8}, "low_rank": {"rank": 8}})
    with pytest.raises(MethodError, match="low_rank and sltrain both change the model"):
        Trainer(recipe, token_sets)


@pytest.mark.parametrize("name", ["sltrain", "gstack"])
def test_weights_to_continue_from_are_refused_where_they_would_be_dropped(
    name, new_recipe, token_sets, new_model
):
    recipe = recipe_of(new_recipe, name, start="0123")
    with pytest.raises(MethodError, match=f"{name} begins with a model of its own"):
        Trainer(recipe, token_sets, start=new_model())


def test_a_recipe_read_back_has_the_same_id(new_recipe):
    for name in NAMES:
        recipe = recipe_of(new_recipe, name)
        again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
        assert again.id == recipe.id


def test_momentum_reset_is_adamws(new_recipe, token_sets):
    recipe = new_recipe(optimizer="lion", methods={"low_rank": {"rank": 8}})
    with pytest.raises(MethodError, match=r"low_rank resets AdamW's moments, .* lion"):
        Trainer(recipe, token_sets)


def test_momentum_is_reset_at_each_refactorization(new_recipe, token_sets):
    recipe = new_recipe(methods={"low_rank": {"rank": 8, "refactor_every": 3}})
    trainer = Trainer(recipe, token_sets)
    moments = []
    for step in range(1, 5):
        trainer.advance(recipe, step)
        state = trainer.optimizer.state
        factor = trainer.model.blocks[0].attention_out.left
        moments.append(
            (state[factor]["exp_avg"].any(), state[trainer.model.embedding]["exp_avg"].any())
        )
    assert moments == [(True, True), (True, True), (False, True), (True, True)]


def test_monarch_goes_on_dense_with_the_same_function(new_recipe, token_sets):
    recipe = recipe_of(new_recipe, "monarch")
    dense = Trainer(recipe, token_sets)
    sparse = Trainer(replace(recipe, methods={"monarch": {"blocks": 4}}), token_sets)
    for trainer in (dense, sparse):
        trainer.advance(trainer.recipe, 21)
    assert isinstance(dense.model.blocks[0].qkv, torch.nn.Parameter)
    # Step 21's forward pass is the first of the dense model, with the sparse one's weights.
    assert dense.curve.loss[20] == pytest.approx(sparse.curve.loss[20], abs=1e-4)


def test_each_member_of_a_family_has_its_own_schedule_and_is_saved(
    new_recipe, token_sets, tmp_path
):
    options = OPTIONS["progressive_family"] | {"save": str(tmp_path), "lr_power": 0.5}
    recipe = recipe_of(
        new_recipe, "progressive_family", methods={"progressive_family": options}, lr=0.002
    )
    trainer = Trainer(recipe, token_sets)
    small = trainer.model.shape
    rates = []
    for step in range(1, recipe.steps + 1):
        trainer.advance(recipe, step)
        group = trainer.optimizer.param_groups[0]
        rates.append(group["lr"] / group["whole_lr_scale"] if "whole_lr_scale" in group else 0.0)
    peak = recipe.lr * (small.params / recipe.shape.params) ** -0.5
    # 10 steps: 2 of warm-up, decay over the last 2 (20 %). Then 30: 2 of warm-up, 6 of decay.
    assert rates[:9] == pytest.approx([peak / 2, *[peak] * 8])
    tail = [recipe.lr * (1 - k / 6) for k in range(6)]
    assert rates[10:] == pytest.approx([recipe.lr / 2, *[recipe.lr] * 23, *tail])
    assert load_hf(Path(tmp_path, "16x1")).shape == small


class Killed(BaseException):
    """Stands for a process that dies between two steps."""


@pytest.mark.parametrize("name", [*NAMES, "dct", "galore", "prodigy", "schedule_free", "sophia"])
def test_a_run_killed_after_a_checkpoint_ends_the_same(
    name, new_recipe, token_sets, paths, tmp_path, monkeypatch
):
    if name in OPTIONS:
        recipe = recipe_of(new_recipe, name)
    else:
        schedule = Schedule(name="constant" if name == "schedule_free" else "wsd")
        recipe = new_recipe(tokens=64 * 30, optimizer=name, schedule=schedule, lr=0.003)
    (job,) = plan_trunks(
        [recipe],
        sources=paths,
        held_out={"code": paths["code"]},
        ledger=str(tmp_path / "ledger"),
        work=str(tmp_path / "work"),
        device="cpu",
        checkpoint_seconds=0.0,
    )
    one_step = Trainer._one_step

    def dying(trainer: Trainer, lr: float) -> float:
        if trainer.step == 23:
            raise Killed
        return one_step(trainer, lr)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_one_step", dying)
        with pytest.raises(Killed):
            run_trunk(job)
    run_trunk(job)
    whole = Trainer(recipe, token_sets)
    whole.advance(recipe, recipe.steps)
    ledger = Ledger(str(tmp_path / "ledger"))
    assert ledger.curve(recipe.id)["loss"].to_list() == whole.curve.loss
    with whole.evaluated() as model:
        expected = held_out_loss(model, token_sets["code"]).loss
    assert ledger.get(recipe.id).losses["code"] == expected
