"""SLTrain, low-rank and Monarch matrices against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.claims.tensor_bytes import weight_bytes

from leadsman.errors import MethodError
from leadsman.registry import method
from leadsman.train.methods._low_rank import LowRankMatrix
from leadsman.train.methods._monarch import MonarchMatrix
from leadsman.train.methods._sparse import SparsePlusLowRank
from leadsman.train.methods._structured import densify
from leadsman.train.methods.low_rank import LowRank
from leadsman.train.methods.monarch import Monarch
from leadsman.train.methods.sltrain import SLTrain

METHODS = [
    SLTrain(rank=8, density=0.05, alpha=4),
    LowRank(rank=8),
    Monarch(blocks=4),
    Monarch(blocks=2, rank=3),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squared(difference: torch.Tensor) -> float:
    return float(difference.detach().square().sum())


def perturbed(model):
    for number, param in enumerate(model.parameters()):
        param.data.add_(torch.randn(param.shape, generator=generator(number)) * 0.05)
    return model


@pytest.mark.parametrize("chosen", METHODS, ids=lambda m: f"{m.name}")
def test_the_structured_model_computes_what_its_dense_weights_do(chosen, new_model, logits):
    model = new_model()
    before = [param.clone() for param in model.parameters()]
    made = perturbed(chosen.apply(model, seed=3))
    plain = chosen.finish(made)
    torch.testing.assert_close(logits(made), logits(plain), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("chosen", METHODS, ids=lambda m: f"{m.name}")
def test_parameters_are_as_many_as_the_formula_says(chosen, new_model):
    model = new_model()
    made = chosen.apply(model)
    assert sum(param.numel() for param in made.parameters()) == chosen.params(model.shape)
    indices = chosen.index_bytes(model.shape) if isinstance(chosen, SLTrain) else 0
    assert weight_bytes(made) == 4 * chosen.params(model.shape) + indices


@pytest.mark.parametrize("chosen", METHODS, ids=lambda m: f"{m.name}")
def test_a_fresh_models_zero_matrices_stay_zero_and_learn(chosen, new_recipe):
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize

    model = Decoder(new_recipe().shape)
    initialize(model, seed=0)
    made = chosen.apply(model)
    tokens = torch.arange(17).view(1, 17)
    assert not finished_matrix(made, "down").any()
    made.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    assert any(param.grad.any() for param in made.blocks[0].down.parameters())


def finished_matrix(model, kind):
    return getattr(densify(model).blocks[0], kind)


def test_the_product_of_sltrain_has_the_gradients_of_its_formula():
    dense = torch.ones(12, 20)
    matrix = SparsePlusLowRank.like(dense, generator(), rank=3, density=0.1, alpha=6).double()
    matrix.left.data.normal_(generator=generator(1))
    assert len(matrix.index.unique()) == round(0.1 * 240)
    x = torch.randn(5, 2, 20, generator=generator(2), dtype=torch.float64, requires_grad=True)
    inputs = (x, matrix.left, matrix.right, matrix.values)

    def formula(x, left, right, values):
        weight = 2.0 * left @ right
        rows, columns = matrix.index // 20, matrix.index % 20
        return x @ weight.index_put((rows, columns), values, accumulate=True).T

    weights = torch.randn(5, 2, 12, generator=generator(3), dtype=torch.float64)
    expected = torch.autograd.grad((formula(*inputs) * weights).sum(), inputs)
    found = torch.autograd.grad((matrix(x) * weights).sum(), inputs)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_sltrain_keeps_no_dense_matrix_for_the_backward_pass():
    dense = torch.ones(64, 64)
    matrix = SparsePlusLowRank.like(dense, generator(), rank=2, density=0.01, alpha=2)
    kept: list[int] = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor
    )
    with hooks:
        matrix(torch.randn(3, 64, generator=generator()))
    assert max(kept) == 3 * 64


def test_low_rank_begins_at_the_best_approximation_with_balanced_factors():
    dense = torch.randn(24, 10, generator=generator())
    matrix = LowRankMatrix.nearest(dense, generator(), rank=4)
    left, values, right = np.linalg.svd(dense.double().numpy(), full_matrices=False)
    best = (left[:, :4] * values[:4]) @ right[:4]
    np.testing.assert_allclose(matrix.dense().detach().numpy(), best, atol=1e-5)
    gram = matrix.left.T @ matrix.left
    torch.testing.assert_close(gram, matrix.right @ matrix.right.T, atol=1e-4, rtol=1e-4)


def test_refactorization_keeps_the_product_and_balances():
    matrix = LowRankMatrix(
        torch.randn(30, 5, generator=generator()) * torch.tensor([9.0, 1, 0.1, 3, 1]),
        torch.randn(5, 12, generator=generator(1)),
    )
    before = matrix.dense().detach().clone()
    matrix.refactorize()
    torch.testing.assert_close(matrix.dense(), before, rtol=1e-4, atol=1e-5)
    gram = matrix.left.T @ matrix.left
    torch.testing.assert_close(gram, matrix.right @ matrix.right.T, rtol=1e-4, atol=1e-4)
    singular = np.linalg.svd(before.double().numpy(), compute_uv=False)[:5]
    np.testing.assert_allclose(np.diag(gram.detach().numpy()), singular, rtol=1e-4)


def test_the_monarch_projection_is_the_closed_form_and_no_neighbour_is_nearer():
    dense = torch.randn(16, 24, generator=generator())
    matrix = MonarchMatrix.nearest(dense, generator(), blocks=4, rank=1)
    error = squared(matrix.dense() - dense)
    slices = dense.double().numpy().reshape(4, 4, 4, 6).transpose(1, 2, 0, 3)
    values = np.linalg.svd(slices, compute_uv=False)
    assert error == pytest.approx((values[..., 1:] ** 2).sum(), rel=1e-5)
    for seed in range(20):
        near = MonarchMatrix(matrix.outer.data.clone(), matrix.inner.data.clone())
        for param in near.parameters():
            param.data.add_(torch.randn(param.shape, generator=generator(seed)) * 0.01)
        assert squared(near.dense() - dense) > error


def test_monarch_matrices_are_projected_onto_themselves_and_hold_the_fourier_transform():
    outer = torch.randn(4, 5, 8, generator=generator())
    inner = torch.randn(4, 8, 3, generator=generator(1))
    dense = MonarchMatrix(outer, inner).dense().detach()
    again = MonarchMatrix.nearest(dense, generator(), blocks=4, rank=2)
    torch.testing.assert_close(again.dense(), dense, rtol=1e-4, atol=1e-5)
    # The paper's example of what Monarch matrices hold: a transform of n = 16 in n log n.
    # Its cosine part with columns in the order of the first radix-4 split has rank-2 slices.
    fourier = np.fft.fft(np.eye(16)).real
    split = torch.from_numpy(
        np.ascontiguousarray(fourier[:, np.arange(16).reshape(4, 4).T.ravel()])
    )
    found = MonarchMatrix.nearest(split.float(), generator(), blocks=4, rank=2)
    torch.testing.assert_close(found.dense(), split.float(), rtol=1e-4, atol=1e-4)


def test_monarch_halves_the_square_matrices_with_four_blocks():
    matrix = MonarchMatrix.nearest(torch.ones(64, 64), generator(), blocks=4, rank=4)
    assert sum(param.numel() for param in matrix.parameters()) == 64 * 64 // 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sltrain", {"rank": 17}, "rank 17 is above the shortest side of a block matrix, 16"),
        ("sltrain", {"density": 1.5}, "density must be between 0 and 1, not 1.5"),
        ("low_rank", {"rank": 17}, "rank 17 is above the shortest side of a block matrix, 16"),
        ("low_rank", {"refactor_every": -3}, "refactor_every must be between -1"),
        ("monarch", {"blocks": 5}, "5 blocks do not divide a block matrix of 32 x 32"),
        ("monarch", {"rank": 0}, "rank must be between 0"),
    ],
)
def test_bad_options_are_named(name, options, message, new_model):
    with pytest.raises(MethodError, match=message):
        method("training", name)(**options).apply(new_model())
