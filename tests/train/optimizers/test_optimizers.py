"""Every optimizer: trains, resumes exactly, and does what its equation says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from leadsman.errors import InputError, MethodError
from leadsman.registry import method, methods
from leadsman.runs import ModelShape, Schedule
from leadsman.train.base import OptimizerMethod
from leadsman.train.loop import Trainer, build_optimizer
from leadsman.train.model import Decoder
from leadsman.train.optimizers._projected import dct_basis
from leadsman.train.parametrization import initialize

LR = {"soap": 0.003, "lion": 0.002, "signum": 0.002}
OPTIONS = {
    "galore": {"rank": 8, "refresh": 5, "scale": 1.0},
    "dct": {"rank": 8, "scale": 1.0},
    "ademamix": {"beta3": 0.99},
}
NAMES = [name for name, cls in methods("training").items() if issubclass(cls, OptimizerMethod)]


def recipe_of(new_recipe, name: str, **changes: object):
    options = {name: OPTIONS[name]} if name in OPTIONS else {}
    return new_recipe(
        optimizer=name, lr=LR.get(name, 0.01), tokens=64 * 40, methods=options, **changes
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_learns_and_resumes_exactly(name, new_recipe, token_sets):
    recipe = recipe_of(new_recipe, name)
    whole = Trainer(recipe, token_sets)
    whole.advance(recipe, 17)
    state = whole.state()
    whole.advance(recipe, 40)
    assert np.mean(whole.curve.loss[-5:]) < math.log(320) - 1
    again = Trainer(recipe, token_sets)
    again.load(state)
    again.advance(recipe, 40)
    assert again.curve.loss == whole.curve.loss


@pytest.fixture
def one_step(new_recipe):
    """Parameters of a small model before and after one step on known gradients, and the groups."""

    def step(name: str, *, steps: int = 1, **options: object):
        recipe = new_recipe(
            optimizer=name, lr=0.01, weight_decay=0.0, methods={name: options} if options else {}
        )
        model = Decoder(recipe.shape)
        initialize(model, seed=0)
        optimizer = build_optimizer(model, recipe)
        generator = torch.Generator().manual_seed(1)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        grads = []
        for _ in range(steps):
            grads.append(
                {n: torch.randn(p.shape, generator=generator) for n, p in model.named_parameters()}
            )
            for n, p in model.named_parameters():
                p.grad = grads[-1][n].clone()
            optimizer.step()
        after = {n: p.detach() for n, p in model.named_parameters()}
        return before, grads, after

    return step


HIDDEN = "blocks.0.gate_up"
SCALE = 64 / 32  # muP at width 32


def test_lion_is_its_equation(one_step):
    before, (first, second), after = one_step("lion", steps=2, beta1=0.9, beta2=0.99)
    momentum = 0.01 * first[HIDDEN]
    expected = before[HIDDEN] - 0.01 * SCALE * (
        first[HIDDEN].sign() + (0.9 * momentum + 0.1 * second[HIDDEN]).sign()
    )
    torch.testing.assert_close(after[HIDDEN], expected)


def test_signum_is_its_equation(one_step):
    before, (first, second), after = one_step("signum", steps=2, beta=0.8)
    momentum = 0.8 * 0.2 * first[HIDDEN] + 0.2 * second[HIDDEN]
    expected = before[HIDDEN] - 0.01 * SCALE * (first[HIDDEN].sign() + momentum.sign())
    torch.testing.assert_close(after[HIDDEN], expected)


def test_galore_of_full_rank_steps_by_the_sign_in_the_singular_basis(one_step):
    before, (grads,), after = one_step("galore", rank=32, refresh=10, scale=1.0)
    left, _, _ = np.linalg.svd(grads[HIDDEN].double().numpy().T, full_matrices=False)
    # The first Adam step is the sign of each coordinate, whatever the signs of the vectors.
    step = left @ np.sign(left.T @ grads[HIDDEN].double().numpy().T)
    moved = (before[HIDDEN] - after[HIDDEN]).numpy().T / (0.01 * SCALE)
    np.testing.assert_allclose(moved, step, atol=2e-3)


def test_dct_steps_in_the_best_aligned_cosines(one_step):
    scipy_fft = pytest.importorskip("scipy.fft")
    basis = scipy_fft.idct(np.eye(32), norm="ortho", axis=0)
    np.testing.assert_allclose(dct_basis(32).numpy(), basis, atol=1e-6)
    before, (grads,), after = one_step("dct", rank=4, scale=1.0)
    gradient = grads[HIDDEN].double().numpy().T
    coordinates = basis.T @ gradient
    chosen = np.argsort(-np.linalg.norm(coordinates, axis=1))[:4]
    step = basis[:, chosen] @ np.sign(coordinates[chosen])
    moved = (before[HIDDEN] - after[HIDDEN]).numpy().T / (0.01 * SCALE)
    np.testing.assert_allclose(moved, step, atol=2e-3)


def test_muon_moves_along_an_orthogonal_matrix(one_step):
    before, _, after = one_step("muon")
    moved = ((before[HIDDEN] - after[HIDDEN]) / (0.01 * SCALE)).double().numpy()
    values = np.linalg.svd(moved, compute_uv=False) / (0.2 * math.sqrt(max(moved.shape)))
    # Five quintic iterations leave singular values within about 0.7 to 1.2 of one (Jordan 2024).
    assert values.min() > 0.6
    assert values.max() < 1.3


@pytest.mark.parametrize("name", ["galore", "dct"])
def test_state_bytes_are_as_the_formula_says(name, new_recipe, token_sets):
    recipe = recipe_of(new_recipe, name)
    trainer = Trainer(recipe, token_sets)
    trainer.advance(recipe, 2)
    measured = 0
    for part in trainer.optimizer.parts:
        for state in part.state.values():
            measured += sum(
                value.nbytes
                for key, value in state.items()
                if isinstance(value, torch.Tensor) and key != "step"
            )
    formula = method("training", name)(**OPTIONS[name]).state_bytes(recipe.shape)
    assert measured == formula
    assert formula < 8 * recipe.shape.params


def test_galore_saves_what_its_paper_says_and_dct_more():
    llama_7b = ModelShape(
        layers=32,
        width=4096,
        heads=32,
        kv_heads=32,
        ffn_width=11_008,
        vocab_size=32_000,
        seq_len=256,
        tie_embeddings=False,
    )
    full = 8 * llama_7b.params
    galore = method("training", "galore")(rank=1024).state_bytes(llama_7b)
    dct = method("training", "dct")(rank=1024).state_bytes(llama_7b)
    assert 1 - galore / full == pytest.approx(0.655, rel=0.1)
    assert dct < galore


def test_bad_options_are_named(new_recipe):
    shape = new_recipe().shape
    for optimizer, options, error, message in [
        ("lion", {"beta1": 1.5}, MethodError, "beta1 must be between 0 and 1, not 1.5"),
        ("lion", {"beta9": 1}, InputError, "methods.lion.*unexpected keyword argument 'beta9'"),
        ("galore", {"rank": 33}, MethodError, "rank 33 is above the shortest side .*, 32"),
        ("sgdd", {}, InputError, "no optimizer is called 'sgdd'; there are adamw, "),
    ]:
        recipe = new_recipe(optimizer=optimizer, methods={optimizer: options})
        with pytest.raises(error, match=message):
            build_optimizer(Decoder(shape), recipe)


def test_options_of_another_method_are_refused(new_recipe, token_sets):
    recipe = new_recipe(optimizer="adamw", methods={"lion": {}}, schedule=Schedule())
    with pytest.raises(InputError, match="'lion' is not the optimizer's name"):
        Trainer(recipe, token_sets)
