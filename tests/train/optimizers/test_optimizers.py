"""Every optimizer: trains, resumes exactly, and does what its equation says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from leadsman.errors import InputError, MethodError
from leadsman.registry import methods
from leadsman.runs import ModelShape, Schedule
from leadsman.train.base import OptimizerMethod
from leadsman.train.build import build_optimizer
from leadsman.train.loop import Trainer
from leadsman.train.model import Decoder
from leadsman.train.optimizers._projected import dct_basis
from leadsman.train.parametrization import initialize, param_groups

SHAPE = ModelShape(
    layers=2, width=32, heads=4, kv_heads=2, ffn_width=48, vocab_size=320, seq_len=16
)
LR = {"soap": 0.003, "lion": 0.002, "signum": 0.002, "sophia": 0.001, "prodigy": 1.0}
SCHEDULE = {"schedule_free": Schedule(name="constant", warmup_tokens=128)}
OPTIONS = {
    "prodigy": {"d0": 1e-4},
    "galore": {"rank": 8, "refresh": 5, "scale": 1.0},
    "dct": {"rank": 8, "scale": 1.0},
    "ademamix": {"beta3": 0.99},
}
NAMES = [name for name, cls in methods("training").items() if issubclass(cls, OptimizerMethod)]


def recipe_of(new_recipe, name: str, **changes: object):
    settings = {
        "optimizer": name,
        "lr": LR.get(name, 0.01),
        "tokens": 64 * 40,
        "methods": {name: OPTIONS[name]} if name in OPTIONS else {},
        "schedule": SCHEDULE.get(name, Schedule(warmup_tokens=128)),
    }
    return new_recipe(**(settings | changes))


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

    def step(name: str, *, steps: int = 1, shape: ModelShape = SHAPE, **options: object):
        recipe = new_recipe(
            shape=shape,
            optimizer=name,
            lr=0.01,
            weight_decay=0.0,
            methods={name: options} if options else {},
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
GATE = slice(0, 48)  # the first of the two matrices in it
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


@pytest.mark.parametrize("warmup", [None, 10])
def test_ademamix_is_its_equation(one_step, warmup):
    options = {"beta1": 0.9, "beta2": 0.95, "beta3": 0.99, "alpha": 5.0}
    before, gradients, after = one_step("ademamix", steps=3, warmup_steps=warmup, **options)
    half_life = lambda beta: math.log(0.5) / math.log(beta)  # noqa: E731
    param = before[HIDDEN].double()
    fast = slow = square = torch.zeros_like(param)
    for t, each in enumerate(gradients, start=1):
        share = 1.0 if warmup is None else t / warmup
        alpha = 5.0 * share
        memory = (1 - share) * half_life(0.9) + share * half_life(0.99)
        beta3 = 0.5 ** (1 / memory)
        gradient = each[HIDDEN].double()
        fast = 0.9 * fast + 0.1 * gradient
        slow = beta3 * slow + (1 - beta3) * gradient
        square = 0.95 * square + 0.05 * gradient**2
        up = fast / (1 - 0.9**t) + alpha * slow
        param = param - 0.01 * SCALE * up / ((square / (1 - 0.95**t)).sqrt() + 1e-8)
    torch.testing.assert_close(after[HIDDEN].double(), param, rtol=1e-4, atol=1e-6)


def test_galore_of_full_rank_steps_by_the_sign_in_the_singular_basis(one_step):
    shape = replace(SHAPE, kv_heads=4)
    before, (grads,), after = one_step("galore", shape=shape, rank=32, refresh=10, scale=1.0)
    gradient = grads[HIDDEN][GATE].double().numpy().T
    left, _, _ = np.linalg.svd(gradient, full_matrices=False)
    # The first Adam step is the sign of each coordinate, whatever the signs of the vectors.
    step = left @ np.sign(left.T @ gradient)
    moved = (before[HIDDEN] - after[HIDDEN])[GATE].numpy().T / (0.01 * SCALE)
    np.testing.assert_allclose(moved, step, atol=2e-3)


def test_dct_steps_in_the_best_aligned_cosines(one_step):
    scipy_fft = pytest.importorskip("scipy.fft")
    basis = scipy_fft.idct(np.eye(32), norm="ortho", axis=0)
    np.testing.assert_allclose(dct_basis(32).numpy(), basis, atol=1e-6)
    before, (grads,), after = one_step("dct", rank=4, scale=1.0)
    gradient = grads[HIDDEN][GATE].double().numpy().T
    coordinates = basis.T @ gradient
    chosen = np.argsort(-np.linalg.norm(coordinates, axis=1))[:4]
    step = basis[:, chosen] @ np.sign(coordinates[chosen])
    moved = (before[HIDDEN] - after[HIDDEN])[GATE].numpy().T / (0.01 * SCALE)
    np.testing.assert_allclose(moved, step, atol=2e-3)


def test_dct_resumes_exactly_between_two_choices_of_the_subspace(new_recipe, token_sets):
    options = {"rank": 4, "refresh": 6, "scale": 1.0}
    recipe = new_recipe(optimizer="dct", methods={"dct": options})
    whole, again = Trainer(recipe, token_sets), Trainer(recipe, token_sets)
    whole.advance(recipe, 8)
    again.load(whole.state())
    for trainer in (whole, again):
        trainer.advance(recipe, 14)
    assert again.curve.loss == whole.curve.loss


def test_schedule_free_evaluates_the_average_of_its_iterates(new_recipe):
    """The formula of the paper, over steps of constant lr: x is the plain mean of z."""
    recipe = new_recipe(
        optimizer="schedule_free", weight_decay=0.0, schedule=Schedule(name="constant")
    )
    model = Decoder(recipe.shape)
    initialize(model, seed=0)
    optimizer = build_optimizer(model, recipe)
    param = model.get_parameter(HIDDEN)
    z, square, points = param.detach().double(), 0.0, []
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 5):
        for each in model.parameters():
            each.grad = torch.randn(each.shape, generator=generator)
        grad = param.grad.double()
        square = 0.95 * square + 0.05 * grad**2
        z = z - 0.01 * SCALE * grad / ((square / (1 - 0.95**step)).sqrt() + 1e-8)
        points.append(z)
        optimizer.step()
    training = param.detach().clone()
    optimizer.eval()
    torch.testing.assert_close(param.detach().double(), sum(points) / 4, rtol=1e-4, atol=1e-5)
    optimizer.train()
    torch.testing.assert_close(param.detach(), training)


def test_schedule_free_refuses_a_schedule_that_decays(new_recipe):
    recipe = new_recipe(optimizer="schedule_free")
    with pytest.raises(MethodError, match="its schedule must be constant, not wsd"):
        build_optimizer(Decoder(recipe.shape), recipe)


def test_prodigy_is_the_librarys_in_units_of_each_groups_rate(new_recipe):
    """Against the library on the parameters divided by their rates, group by group."""
    from pytorch_optimizer import Prodigy

    recipe = new_recipe(optimizer="prodigy", lr=1.0)
    model = Decoder(recipe.shape)
    initialize(model, seed=0)
    groups = param_groups(model, recipe)
    scaled = [[(p.detach() / g["lr_scale"]).requires_grad_() for p in g["params"]] for g in groups]
    reference = Prodigy(
        [
            {"params": copies, "weight_decay": g["weight_decay"] * g["lr_scale"]}
            for copies, g in zip(scaled, groups, strict=True)
        ],
        betas=(0.9, 0.95),
        bias_correction=True,
        safeguard_warmup=True,
    )
    ours = build_optimizer(model, recipe)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        for copies, g in zip(scaled, groups, strict=True):
            for copy, param in zip(copies, g["params"], strict=True):
                param.grad = torch.randn(param.shape, generator=generator)
                copy.grad = param.grad * g["lr_scale"]
        reference.step()
        ours.step()
    assert ours.param_groups[0]["d"] == pytest.approx(reference.param_groups[0]["d"], rel=1e-5)
    for copies, g in zip(scaled, groups, strict=True):
        for copy, param in zip(copies, g["params"], strict=True):
            torch.testing.assert_close(param, copy * g["lr_scale"], rtol=1e-4, atol=1e-6)


def test_sophia_is_its_equation_with_the_gauss_newton_bartlett_curvature(new_recipe):
    options = {"beta1": 0.9, "beta2": 0.99, "gamma": 0.05, "period": 2}
    recipe = new_recipe(optimizer="sophia", lr=0.01, weight_decay=0.0, methods={"sophia": options})
    model = Decoder(recipe.shape)
    initialize(model, seed=0)
    batch = torch.randint(0, 320, (4, 17), generator=torch.Generator().manual_seed(0))
    optimizer = build_optimizer(model, recipe)
    model.loss(batch[:, :-1], batch[:, 1:]).backward()
    param = model.get_parameter(HIDDEN)
    before, grad = param.detach().clone(), param.grad.clone()
    logits = model(batch[:, :-1]).flatten(0, 1)
    labels = torch.multinomial(
        logits.detach().softmax(-1), 1, generator=torch.Generator().manual_seed(3 * 1_000_003)
    ).flatten()
    (drawn,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), param)
    optimizer.observe(batch)
    optimizer.step()
    curvature = 0.01 * 64 * drawn**2
    step = (0.1 * grad / (0.05 * curvature).clamp(min=1e-13)).clamp(-1, 1)
    torch.testing.assert_close(param.detach(), before - 0.01 * SCALE * step, rtol=1e-4, atol=1e-5)
    optimizer.observe(batch)
    assert optimizer._curvature is None  # its turn comes every second step


def test_the_gauss_newton_bartlett_estimate_is_the_curvature_on_average(new_recipe):
    """For a softmax without features: E[B g^2] over drawn labels is p (1 - p) / tokens each."""
    recipe = new_recipe(optimizer="sophia", methods={"sophia": {"period": 1}})
    bias = torch.nn.Parameter(torch.tensor([0.0, 1.0, -1.0]))

    class Table(torch.nn.Module):
        def forward(self, tokens):
            return bias.expand(*tokens.shape, 3)

    optimizer = build_optimizer(Decoder(recipe.shape), recipe)
    optimizer._model = Table()
    optimizer.param_groups[:] = [optimizer.param_groups[0] | {"params": [bias]}]
    batch, found = torch.zeros(1, 33, dtype=torch.int64), []
    for step in range(400):
        optimizer.param_groups[0]["step"] = step
        optimizer.observe(batch)
        found.append(optimizer._curvature[0])
    chance = bias.detach().softmax(0)
    # 400 draws of a chi-square-like value: standard error about 7 %.
    torch.testing.assert_close(
        torch.stack(found).mean(0), chance * (1 - chance), rtol=0.25, atol=0.0
    )


def test_muon_moves_along_an_orthogonal_matrix(one_step):
    before, _, after = one_step("muon")
    # At width 32 the rate is sqrt(64 / 32) times the recipe's.
    moved = ((before[HIDDEN] - after[HIDDEN]) / (0.01 * math.sqrt(SCALE))).double().numpy()
    values = np.linalg.svd(moved, compute_uv=False) / (0.2 * math.sqrt(max(moved.shape)))
    # Five quintic iterations leave singular values within about 0.7 to 1.2 of one (Jordan 2024).
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_bad_options_are_named(new_recipe):
    shape = new_recipe().shape
    for optimizer, options, error, message in [
        ("lion", {"beta1": 1.5}, MethodError, "beta1 must be between 0 and 1, not 1.5"),
        ("lion", {"beta9": 1}, InputError, "methods.lion.*unexpected keyword argument 'beta9'"),
        ("galore", {"rank": 33}, MethodError, "rank 33 is above the shortest side .*, 16"),
        ("sgdd", {}, InputError, "no optimizer is called 'sgdd'; there are adamw, "),
    ]:
        recipe = new_recipe(optimizer=optimizer, methods={optimizer: options})
        with pytest.raises(error, match=message):
            build_optimizer(Decoder(shape), recipe)
