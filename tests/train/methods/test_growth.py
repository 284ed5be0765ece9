"""Growth keeps the function; plans follow their formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leadsman.errors import MethodError
from leadsman.runs import ModelShape
from leadsman.train.methods._growth import deepen, narrower, widen
from leadsman.train.methods.adaptive_shape import AdaptiveShape
from leadsman.train.methods.gstack import GStack
from leadsman.train.methods.progressive_family import ProgressiveFamily


def laws_of(laws: dict[int, tuple[float, float, float]]) -> list[dict[str, float]]:
    return [
        {"width": width, "floor": floor, "scale": scale, "exponent": exponent}
        for width, (floor, scale, exponent) in laws.items()
    ]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("factor", [2, 3])
def test_a_widened_model_computes_the_same(tied, factor, new_model, logits):
    small = new_model(tie_embeddings=tied)
    wide = widen(small, factor, seed=5)
    assert (wide.shape.width, wide.shape.heads) == (32 * factor, 4 * factor)
    torch.testing.assert_close(logits(wide), logits(small), rtol=1e-4, atol=1e-4)


def test_copies_of_a_channel_part_ways(new_model):
    """Gradients of the two copies differ, so training can use the new width."""
    wide = widen(new_model(), 2, seed=0)
    tokens = torch.arange(17).view(1, 17)
    wide.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    first, second = wide.embedding.grad.chunk(2, dim=1)
    assert float((first - second).norm()) > 0.1 * float(first.norm())


def test_widened_entries_have_the_size_of_a_fresh_model(new_model):
    small = new_model(width=64, heads=8, kv_heads=4, ffn_width=96)
    wide = widen(small, 4, seed=0)
    ratio = wide.blocks[0].down.std() / small.blocks[0].down.std()
    assert float(ratio.detach()) == pytest.approx(4**-0.5, rel=0.03)


@pytest.mark.parametrize("layers", [3, 4, 7])
def test_a_deepened_model_computes_the_same_to_the_bit(layers, new_model, logits):
    small = new_model()
    deep = deepen(small, layers)
    assert deep.shape.layers == layers
    assert torch.equal(logits(deep), logits(small))


def test_widths_that_do_not_grow_are_named(new_model):
    shape = new_model().shape
    assert narrower(shape, 16).heads == 2
    for width, message in [(24, "width 24 does not grow into width 32"), (8, "kv_heads 2")]:
        with pytest.raises(MethodError, match=message):
            narrower(shape, width)


def test_adaptive_shape_switches_where_the_laws_closed_form_says():
    """Laws without floor: -dC/dL = (L/a)^(-1/b - 1) / (ab) are equal at one known loss."""
    (a1, b1), (a2, b2) = (40.0, 0.10), (220.0, 0.16)
    method = AdaptiveShape(laws=laws_of({16: (0.0, a1, b1), 32: (0.0, a2, b2)}))
    loss = ((b2 / b1) * a1 ** (1 / b1) * a2 ** (-1 / b2)) ** (1 / (1 / b1 - 1 / b2))
    compute = (loss / a1) ** (-1 / b1)
    (width, flops), (last, rest) = method.switches(compute * 100)
    assert (width, last, rest) == (16, 32, float("inf"))
    assert flops == pytest.approx(compute, rel=0.01)


def test_the_adaptive_model_needs_less_compute_than_either_width():
    laws = {16: (2.6, 60.0, 0.20), 32: (1.9, 150.0, 0.20)}
    target, most = 2.75, 1e14
    (_, first), _ = AdaptiveShape(laws=laws_of(laws)).switches(most)
    alone = {w: ((target - f) / a) ** (-1 / b) for w, (f, a, b) in laws.items()}
    floor, scale, exponent = laws[16]
    reached = floor + scale * first**-exponent
    floor, scale, exponent = laws[32]
    adaptive = first + alone[32] - ((reached - floor) / scale) ** (-1 / exponent)
    assert target < reached
    assert adaptive < 0.99 * min(alone.values())
    for elsewhere in np.geomspace(first / 30, first * 30, 41):
        loss = laws[16][0] + laws[16][1] * elsewhere ** -laws[16][2]
        if loss > target:
            other = elsewhere + alone[32] - ((loss - floor) / scale) ** (-1 / exponent)
            assert adaptive <= other * 1.001


def test_laws_by_which_the_small_model_never_loses_are_refused():
    method = AdaptiveShape(laws=laws_of({16: (1.0, 50.0, 0.2), 32: (2.0, 90.0, 0.2)}))
    with pytest.raises(MethodError, match="width 16 is not worth leaving for 32"):
        method.switches(1e15)


def test_a_family_from_1b_to_8b_costs_a_quarter_less_as_in_its_paper():
    """20 tokens a parameter each; the paper tells 25 % of the FLOPs of training all alone."""
    billions = [(1, 2048, 16), (2, 2560, 22), (4, 3072, 32), (8, 4096, 34)]
    shapes = [
        ModelShape(
            layers=layers,
            width=width,
            heads=32,
            kv_heads=32,
            ffn_width=width * 7 // 2,
            vocab_size=100_000,
            seq_len=2048,
        )
        for _, width, layers in billions
    ]
    tokens = [20_000_000_000 * size for size, _, _ in billions]
    alone = sum(s.train_flops_per_token * t for s, t in zip(shapes, tokens, strict=True))
    members = ProgressiveFamily.tokens_of_members(shapes, tokens)
    family = sum(s.train_flops_per_token * t for s, t in zip(shapes, members, strict=True))
    last = shapes[-1].train_flops_per_token * tokens[-1]
    assert family == pytest.approx(last, rel=1e-6)
    assert 1 - family / alone == pytest.approx(0.25, rel=0.1)


def test_stages_and_their_compute(new_recipe):
    recipe = new_recipe()
    shape = replace(recipe.shape, width=64, heads=8, kv_heads=4, ffn_width=96, layers=4)
    recipe = new_recipe(shape=shape)
    family = ProgressiveFamily(
        sizes=[{"width": 32, "layers": 2, "tokens": 320}, {"width": 64, "layers": 2, "tokens": 256}]
    )
    stages = family.stages(recipe)
    assert [stage.first_step for stage in stages] == [0, 5, 9]
    assert [stage.shape.layers for stage in stages] == [2, 2, 4]
    steps = [5, 4, recipe.steps - 9]
    expected = sum(
        64 * n * s.shape.train_flops_per_token for n, s in zip(steps, stages, strict=True)
    )
    assert family.train_flops(recipe) == expected
    gstack = GStack(factor=2, after_tokens=640)
    assert [s.first_step for s in gstack.stages(recipe)] == [0, 10]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (GStack(), "gstack needs after_tokens"),
        (GStack(factor=3, after_tokens=64), "a factor of 3 does not divide 2 layers"),
        (GStack(factor=2, after_tokens=64_000), "grows to the last size after 64,000 tokens"),
        (
            ProgressiveFamily(sizes=[{"width": 16, "layers": 3, "tokens": 64}]),
            "16x3 does not grow into 32x2",
        ),
        (
            AdaptiveShape(laws=laws_of({16: (0, 1, 1), 8: (0, 1, 1)})),
            "the widest law is of width 16",
        ),
    ],
)
def test_plans_that_cannot_be_are_refused(method, message, new_recipe, new_model):
    with pytest.raises(MethodError, match=message):
        method.prepare(new_model(), new_recipe())


def test_options_that_cannot_be_are_refused():
    with pytest.raises(MethodError, match="a size has width, tokens"):
        ProgressiveFamily(sizes=[{"width": 16}])
    with pytest.raises(MethodError, match="two widths at least"):
        AdaptiveShape(laws=laws_of({16: (0, 1, 1)}))
    with pytest.raises(MethodError, match="exponent of width 16"):
        AdaptiveShape(laws=laws_of({16: (0, 1, -1), 32: (0, 1, 1)}))
    with pytest.raises(MethodError, match="a law has width, floor"):
        AdaptiveShape(laws=[{"width": 16}, {"width": 32}])
