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

from leadsman.registry import method
from leadsman.runs import Mixture, ModelShape, Recipe
from leadsman.train.base import OptimizerMethod
from leadsman.train.loop import build_optimizer
from leadsman.train.matrices import block_matrices
from leadsman.train.memory import state_bytes, weight_bytes
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


@pytest.mark.parametrize(
    ("size", "full", "low", "sltrain"),
    [("60M", 58, 43, 44), ("130M", 134, 94, 97), ("350M", 368, 185, 194), ("1B", 1339, 609, 646)],
)
def test_parameter_counts_are_those_of_the_papers_tables(size, full, low, sltrain):
    """SLTrain's table: parameters in millions, full rank, low rank, and with 3 % sparse."""
    shape, rank = llama(size)
    assert shape.params / 1e6 == pytest.approx(full, rel=0.01)
    plain = method("training", "low_rank")(rank=rank).params(shape)
    assert plain / 1e6 == pytest.approx(low, rel=0.02)
    ours = method("training", "sltrain")(rank=rank, density=0.03).params(shape)
    assert ours / 1e6 == pytest.approx(sltrain, rel=0.02)


def test_block_matrices_are_all_of_them():
    shape, _ = llama("60M")
    inside = sum(rows * columns for rows, columns in block_matrices(shape))
    assert inside == shape.layers * shape.block_matrix_params
