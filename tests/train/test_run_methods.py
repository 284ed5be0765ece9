"""The places of the loop at which a method acts, each with a method whose effect is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from leadsman.errors import InputError
from leadsman.runs import Ledger
from leadsman.train.base import RunMethod
from leadsman.train.ladder import TrunkJob, plan_trunks, run_trunk
from leadsman.train.loop import Trainer
from leadsman.train.methods.gstack import GStack
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize


class Weighted(RunMethod):
    """Minimises a multiple of the loss."""

    name = "weighted"

    def __init__(self, factor=1.0):
        self.factor = factor

    def reduce(self, losses, trainer):
        return self.factor * losses.mean()


class Grown(RunMethod):
    """Trains half the layers up to a step, then all."""

    name = "grown"

    def __init__(self, at=5):
        self.at, self.calls = at, []

    def prepare(self, model, recipe):
        small = Decoder(replace(model.shape, layers=model.shape.layers // 2))
        initialize(small, seed=recipe.seed)
        return small

    def before_step(self, trainer):
        self.calls.append(("before", trainer.step))

    def after_step(self, trainer):
        self.calls.append(("after", trainer.step))
        if trainer.step == self.at:
            trainer.replace_model(GStack(factor=2).apply(trainer.model))

    def restructure(self, trainer, step):
        layers = trainer.recipe.shape.layers // (1 if step >= self.at else 2)
        trainer.replace_model(Decoder(replace(trainer.recipe.shape, layers=layers)))

    def state(self):
        return {"calls": len(self.calls)}

    def load(self, state):
        self.calls = [("loaded", state["calls"])]

    def train_flops(self, recipe):
        return recipe.flops / 4


class Doubled(nn.Module):
    """Stands for a matrix: half of it, twice."""

    def __init__(self, weight):
        super().__init__()
        self.matrix = nn.Parameter(weight / 2)

    def forward(self, x):
        return x @ (2 * self.matrix).T


class Replaced(RunMethod):
    """Puts modules in the place of matrices, and plain matrices back at the end."""

    name = "replaced"

    def prepare(self, model, recipe):
        for block in model.stack:
            weight = block.qkv.data
            del block.qkv
            block.qkv = Doubled(weight)
        return model

    def finish(self, model):
        plain = Decoder(model.shape)
        with torch.no_grad():
            for name, param in plain.named_parameters():
                if name.endswith("qkv"):
                    param.copy_(2 * model.get_parameter(f"{name}.matrix"))
                else:
                    param.copy_(model.get_parameter(name))
        return plain


class Length(RunMethod):
    """Depends on the length of the run."""

    name = "length"
    knows_length = True


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    from leadsman import registry

    extra = {cls.name: cls for cls in (Weighted, Grown, Replaced, Length)}
    known = registry.methods
    both = lambda kind: known(kind) | (extra if kind == "training" else {})  # noqa: E731
    monkeypatch.setattr("leadsman.registry.methods", both)


def trained(recipe, token_sets, steps):
    trainer = Trainer(recipe, token_sets)
    trainer.advance(recipe, steps)
    return trainer


def test_a_method_weighs_the_loss_and_the_curve_keeps_the_plain_mean(new_recipe, token_sets):
    plain = trained(new_recipe(grad_clip=1e9), token_sets, 3)
    same = trained(new_recipe(grad_clip=1e9, methods={"weighted": {"factor": 1.0}}), token_sets, 3)
    zero = trained(new_recipe(grad_clip=1e9, methods={"weighted": {"factor": 0.0}}), token_sets, 3)
    assert same.curve.loss == plain.curve.loss
    assert zero.curve.loss[0] == plain.curve.loss[0]
    assert torch.equal(zero.model.embedding, trained(new_recipe(), token_sets, 0).model.embedding)


def test_a_growing_run_continues_exactly_from_either_side(new_recipe, token_sets):
    recipe = new_recipe(methods={"grown": {"at": 5}})
    whole = Trainer(recipe, token_sets)
    states = {}
    for step in (3, 8):
        whole.advance(recipe, step)
        states[step] = whole.state()
    whole.advance(recipe, 12)
    assert whole.methods[0].calls[:3] == [("before", 0), ("after", 1), ("before", 1)]
    assert whole.model.shape.layers == recipe.shape.layers
    for step, state in states.items():
        again = Trainer(recipe, token_sets)
        again.load(state)
        assert again.model.shape.layers == (2 if step > 5 else 1)
        assert again.methods[0].calls == [("loaded", 2 * step)]
        again.advance(recipe, 12)
        assert again.curve.loss == whole.curve.loss


def test_modules_stand_for_matrices_and_the_finished_model_is_plain(new_recipe, token_sets):
    trainer = trained(new_recipe(methods={"replaced": {}}), token_sets, 4)
    assert trainer.curve.loss[0] == pytest.approx(
        trained(new_recipe(), token_sets, 1).curve.loss[0], rel=1e-6
    )
    ids = torch.arange(32).view(2, 16)
    with trainer.evaluated() as plain, torch.no_grad():
        assert {name for name, _ in plain.named_parameters()} == {
            name for name, _ in Decoder(plain.shape).named_parameters()
        }
        torch.testing.assert_close(plain(ids), trainer.model(ids))


def test_compute_of_a_method_goes_into_the_ledger(new_recipe, paths, tmp_path):
    recipe = new_recipe(methods={"grown": {"at": 5}})
    places = {"ledger": str(tmp_path / "ledger"), "work": str(tmp_path / "work")}
    run_trunk(TrunkJob(recipes=(recipe,), sources=paths, held_out={}, **places))
    run = Ledger(places["ledger"]).get(recipe.id)
    assert run.row()["flops"] == recipe.flops / 4


def test_a_method_that_knows_the_length_is_not_branched(new_recipe, paths):
    def jobs(methods):
        recipes = [new_recipe(tokens=64 * n, methods=methods) for n in (20, 40)]
        return plan_trunks(recipes, sources=paths, held_out={}, ledger="", work="")

    assert [len(job.recipes) for job in jobs({"grown": {}})] == [2]
    assert [len(job.recipes) for job in jobs({"length": {}})] == [1, 1]


def test_clear_errors(new_recipe, token_sets):
    with pytest.raises(InputError, match=r"methods\.weighted.*unexpected keyword argument 'speed'"):
        Trainer(new_recipe(methods={"weighted": {"speed": 2}}), token_sets)
    with pytest.raises(InputError, match="'nothing' is not the optimizer's name, nor a method"):
        Trainer(new_recipe(methods={"nothing": {}}), token_sets)
