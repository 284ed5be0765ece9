from __future__ import annotations

import numpy as np
import pytest
import torch

from leadsman.errors import MethodError
from leadsman.train.loop import Trainer
from leadsman.train.methods.loss_reweighting import LossReweighting

LOSSES = torch.tensor([1.0, 3.0, 2.0, 1.5, 2.6])
H = np.array([-1.0, 1.0, 0.0, -0.5, 0.6])


@pytest.mark.parametrize(
    ("strategy", "shaped"),
    [
        ("linupper", np.minimum(H, 0.5)),
        ("quadratic", 1 - H**2),
        ("extremes", np.abs(H)),
    ],
)
def test_weights_are_their_equation(strategy, shaped):
    expected = np.exp(shaped / 0.7) / np.exp(shaped / 0.7).sum()
    found = LossReweighting(strategy=strategy, r=0.7, cap=0.5).weights(LOSSES)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_equal_losses_and_high_temperature_weigh_equally():
    torch.testing.assert_close(
        LossReweighting().weights(torch.full((4,), 2.0)), torch.full((4,), 0.25)
    )
    torch.testing.assert_close(
        LossReweighting(r=1e6).weights(LOSSES), torch.full((5,), 0.2), rtol=1e-5, atol=0
    )


def test_gradients_are_those_of_fixed_weights(new_recipe, token_sets):
    recipe = new_recipe(methods={"loss_reweighting": {"warmup_tokens": 64}})
    trainer = Trainer(recipe, token_sets)
    method = trainer.methods[0]
    losses = torch.rand(5, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (grad,) = torch.autograd.grad(method.reduce(losses, trainer), losses)
    torch.testing.assert_close(grad, torch.full((5, 7), 1 / 35))
    trainer.advance(recipe, 1)
    (grad,) = torch.autograd.grad(method.reduce(losses, trainer), losses)
    weights = method.weights(losses.detach().mean(dim=1))
    torch.testing.assert_close(grad, (weights / 7)[:, None].expand(5, 7))


def test_the_curve_keeps_the_plain_mean(new_recipe, token_sets):
    plain, weighed = (
        Trainer(recipe, token_sets)
        for recipe in (new_recipe(), new_recipe(methods={"loss_reweighting": {}}))
    )
    for trainer in (plain, weighed):
        trainer.advance(trainer.recipe, 2)
    assert plain.curve.loss[0] == weighed.curve.loss[0]
    assert plain.curve.loss[1] != weighed.curve.loss[1]


def test_bad_options_are_named():
    with pytest.raises(MethodError, match="strategy must be one of linupper"):
        LossReweighting(strategy="upper")
    with pytest.raises(MethodError, match="cap must be between -1 and 1"):
        LossReweighting(cap=2)
