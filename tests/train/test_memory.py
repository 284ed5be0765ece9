"""State and weights of the memory-saving methods, counted from real tensors at papers' sizes.

The models are those the papers train (GaLore's table: hidden, intermediate, layers, rank); one
optimizer step on made-up gradients allocates what training would.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from benchmarks.claims.memory import LLAMA
from benchmarks.claims.memory import llama as shape_of
from benchmarks.claims.tensor_bytes import state_bytes, weight_bytes

from leadsman.errors import MethodError
from leadsman.registry import method, methods
from leadsman.runs import Mixture, ModelShape, Recipe, Schedule
from leadsman.train.base import OptimizerMethod
from leadsman.train.build import build_optimizer, initial_model, run_methods
from leadsman.train.footprint import estimate_memory_bytes, footprint
from leadsman.train.matrices import block_matrices
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize


def llama(size: str) -> tuple[ModelShape, int]:
    return shape_of(size), LLAMA[size][-1]


def stepped(shape: ModelShape, optimizer: str, methods: dict) -> tuple[Decoder, int]:
    """A model, and the bytes of its optimizer's state after a step."""
    recipe = Recipe(
        shape=shape,
        mixture=Mixture("m", {"a": 1}),
        data="",
        tokens=1 << 20,
        batch_tokens=shape.seq_len,
        lr=1e-3,
        optimizer=optimizer,
        methods=methods,
    )
    model = Decoder(shape)
    initialize(model, seed=0)
    for name, options in methods.items():
        chosen = method("training", name)
        if not issubclass(chosen, OptimizerMethod):
            model = chosen(**options).prepare(model, recipe)
    built = build_optimizer(model, recipe)
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
        param.grad[..., 0] = 1.0
    built.step()
    return model, state_bytes(built)


def test_adamw_keeps_two_numbers_a_parameter():
    shape = replace(llama("60M")[0], layers=1, vocab_size=512)
    model, state = stepped(shape, "adamw", {})
    assert (weight_bytes(model), state) == (4 * shape.params, 8 * shape.params)


@pytest.mark.parametrize("name", ["galore", "dct"])
def test_projected_states_are_as_their_formula_at_60m(name):
    shape, rank = llama("60M")
    shape = replace(shape, layers=1, vocab_size=1000)
    _, state = stepped(shape, name, {name: {"rank": rank}})
    assert state == method("training", name)(rank=rank).state_bytes(shape)


@pytest.mark.parametrize("name", ["sltrain", "low_rank", "monarch"])
def test_factorised_states_are_as_their_formula_at_60m(name):
    shape, rank = llama("60M")
    shape = replace(shape, layers=1, vocab_size=1000)
    options = {} if name == "monarch" else {"rank": rank}
    model, state = stepped(shape, "adamw", {name: options})
    chosen = method("training", name)(**options)
    assert state == 8 * chosen.params(shape)
    indices = chosen.index_bytes(shape) if name == "sltrain" else 0
    assert weight_bytes(model) == 4 * chosen.params(shape) + indices


def test_galore_saves_what_its_paper_says_at_7b_and_dct_more():
    shape, rank = llama("7B")
    galore = method("training", "galore")(rank=rank).state_bytes(shape)
    dct = method("training", "dct")(rank=rank).state_bytes(shape)
    assert 1 - galore / (8 * shape.params) == pytest.approx(0.655, abs=0.01)
    assert dct < galore


SMALL = ModelShape(
    layers=2, width=32, heads=4, kv_heads=2, ffn_width=48, vocab_size=320, seq_len=16
)
OPTIMIZERS = [name for name, cls in methods("training").items() if issubclass(cls, OptimizerMethod)]


def recipe_of(optimizer: str, shape: ModelShape = SMALL, **options: dict) -> Recipe:
    """A recipe with an optimizer, and methods by name."""
    own = {optimizer: {"rank": 8}} if optimizer in ("galore", "dct") else {}
    return Recipe(
        shape=shape,
        mixture=Mixture("m", {"a": 1}),
        data="",
        tokens=1 << 20,
        batch_tokens=4 * shape.seq_len,
        lr=1e-3,
        schedule=Schedule(name="constant") if optimizer == "schedule_free" else Schedule(),
        optimizer=optimizer,
        methods=own | options,
    )


def held(recipe: Recipe) -> tuple[int, int, int]:
    """Bytes of weights, gradients and optimizer state of a real model after two steps."""
    model = initial_model(recipe, None)
    for each in run_methods(recipe):
        model = each.prepare(model, recipe)
    optimizer = build_optimizer(model, recipe)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        for param in model.parameters():
            param.grad = torch.randn(param.shape, generator=generator)
        if hasattr(optimizer, "observe"):
            optimizer.observe(torch.randint(320, (2, 17), generator=generator))
        optimizer.step()
    gradients = sum(param.grad.nbytes for param in model.parameters() if param.grad is not None)
    return weight_bytes(model), gradients, state_bytes(optimizer)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("tied", [True, False])
def test_the_estimate_counts_every_optimizers_tensors(optimizer, tied):
    recipe = recipe_of(optimizer, replace(SMALL, tie_embeddings=tied))
    parts = footprint(recipe)
    assert (parts.weights, parts.gradients, parts.state) == held(recipe)


@pytest.mark.parametrize("optimizer", ["adamw", "lion", "ademamix", "mars", "prodigy"])
@pytest.mark.parametrize(
    "options",
    [
        {"sltrain": {"rank": 4}},
        {"low_rank": {"rank": 4, "refactor_every": 0}},
        {"monarch": {"blocks": 4}},
        {"loss_reweighting": {}},
    ],
)
def test_the_estimate_counts_what_methods_keep(optimizer, options):
    recipe = recipe_of(optimizer, **options)
    parts = footprint(recipe)
    assert (parts.weights, parts.gradients, parts.state) == held(recipe)


def test_the_estimate_is_of_the_largest_model_of_a_run():
    dense = footprint(recipe_of("adamw"))
    for options in (
        {"monarch": {"blocks": 4, "dense_from_tokens": 1 << 19}},
        {"gstack": {"factor": 2, "after_tokens": 1 << 19}},
    ):
        assert footprint(recipe_of("adamw", **options)) == dense


def test_a_side_too_long_for_soap_is_not_counted():
    recipe = replace(recipe_of("soap"), methods={"soap": {"max_side": 64}})
    parts = footprint(recipe)
    assert (parts.weights, parts.gradients, parts.state) == held(recipe)


def test_an_estimate_follows_the_method_at_a_papers_size():
    shape, rank = llama("1B")
    adamw = estimate_memory_bytes(recipe_of("adamw", shape), branches=False)
    galore = replace(recipe_of("galore", shape), methods={"galore": {"rank": rank}})
    saved = adamw - estimate_memory_bytes(galore, branches=False)
    state = method("training", "galore")(rank=rank).state_bytes(shape)
    assert saved == 2 * (8 * shape.params - state)  # held, and in the checkpoint being written
    low = recipe_of("adamw", shape, low_rank={"rank": rank})
    assert estimate_memory_bytes(low, branches=False) < 0.6 * adamw


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("galore", {"low_rank": {"rank": 4, "refactor_every": 0}}),
        ("dct", {"sltrain": {"rank": 4}}),
        ("galore", {"monarch": {"blocks": 4}}),
        ("muon", {"monarch": {"blocks": 4}}),
    ],
)
def test_an_optimizer_of_whole_matrices_refuses_factors(optimizer, options):
    (other,) = options
    with pytest.raises(MethodError, match=f"{optimizer} steps whole block matrices and {other}"):
        held(recipe_of(optimizer, **options))


def test_block_matrices_are_all_of_them():
    shape, _ = llama("60M")
    inside = sum(rows * columns for rows, columns in block_matrices(shape))
    assert inside == shape.layers * shape.block_matrix_params
