from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from leadsman.errors import InputError
from leadsman.runs import Mixture, Packing, Schedule
from leadsman.train.loop import Trainer
from leadsman.train.stacked import StackedTrainer


def variants(new_recipe):
    base = new_recipe(tokens=64 * 15)
    return [
        base,
        replace(base, seed=4, lr=0.003),
        replace(base, mixture=Mixture("code", {"code": 1}), weight_decay=0.5, grad_clip=0.2),
        replace(base, schedule=Schedule(name="cosine", warmup_tokens=64)),
    ]


def test_each_replica_equals_training_alone(new_recipe, token_sets):
    recipes = variants(new_recipe)
    stack = StackedTrainer(recipes, token_sets)
    stack.advance(recipes, 15)
    assert not stack.ended
    for number, recipe in enumerate(recipes):
        alone = Trainer(recipe, token_sets)
        alone.advance(recipe, 15)
        curve = stack.curves[number]
        assert (curve.tokens, curve.lr) == (alone.curve.tokens, alone.curve.lr)
        # Sums are taken in another order; 15 steps at lr 0.01 let 1e-7 grow to about 1e-4.
        assert curve.loss == pytest.approx(alone.curve.loss, rel=1e-3)
        assert curve.loss[:3] == pytest.approx(alone.curve.loss[:3], rel=1e-5)
        ours = stack.model.replica(number)
        for name, param in alone.model.named_parameters():
            torch.testing.assert_close(ours.get_parameter(name), param, rtol=0.02, atol=0.02)


def test_a_diverged_replica_is_frozen_and_the_others_go_on(new_recipe, token_sets):
    wild = new_recipe(tokens=64 * 15, lr=1e6, schedule=Schedule(name="constant"))
    calm = new_recipe(tokens=64 * 15, schedule=Schedule(name="constant"))
    stack = StackedTrainer([wild, calm], token_sets)
    stack.advance([wild, calm], 10)
    assert list(stack.ended) == [0]
    assert stack.ended[0].status == "failed"
    assert "diverged at step" in stack.ended[0].reason
    frozen = stack.model.replica(0).embedding.clone()
    assert torch.isfinite(frozen).all()
    stack.advance([wild, calm], 15)
    assert len(stack.curves[0].loss) < 10
    assert len(stack.curves[1].loss) == 15
    assert torch.equal(stack.model.replica(0).embedding, frozen)
    alone = Trainer(calm, token_sets)
    alone.advance(calm, 15)
    assert stack.curves[1].loss == pytest.approx(alone.curve.loss, rel=1e-3)


def test_what_cannot_be_stacked_is_named(new_recipe, token_sets):
    base = new_recipe()
    for other, reason in [
        (replace(base, tokens=base.tokens * 2), "must agree in shape, tokens"),
        (replace(base, shape=replace(base.shape, layers=3)), "must agree in shape, tokens"),
        (replace(base, optimizer="lion"), "only AdamW"),
        (replace(base, packing=Packing(name="buckets", cycle_tokens=64)), "own lengths"),
    ]:
        with pytest.raises(InputError, match=reason):
            StackedTrainer([base, other], token_sets)
