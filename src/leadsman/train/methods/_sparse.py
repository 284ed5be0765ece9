"""The matrix of SLTrain: a low-rank product plus values on a fixed random support."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadsman.train.methods._structured import StructuredMatrix, fan_in_normal


class SparsePlusLowRank(StructuredMatrix):
    """``W = scale left @ right``, plus ``values`` added at the flat places ``index``.

    Args:
        left: ``[rows, rank]``.
        right: ``[rank, columns]``.
        values: ``[support]``.
        index: int64 ``[support]``, places in the row-major matrix.
        scale: of the product.
    """

    index: Tensor

    def __init__(
        self, left: Tensor, right: Tensor, values: Tensor, index: Tensor, *, scale: float
    ) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(left), nn.Parameter(right)
        self.values = nn.Parameter(values)
        self.register_buffer("index", index)
        self.scale = scale

    @classmethod
    def like(
        cls,
        dense: Tensor,
        generator: torch.Generator,
        *,
        rank: int,
        density: float,
        alpha: float,
    ) -> SparsePlusLowRank:
        """Initial values for a matrix of the size of ``dense``; zero if that is zero."""
        rows, columns = dense.shape
        support = round(density * rows * columns)
        index = torch.randperm(rows * columns, generator=generator)[:support].sort().values
        bound = columns**-0.5 if bool(dense.any()) else 0.0
        values = torch.empty(support).uniform_(-1, 1, generator=generator) * bound
        right = fan_in_normal(rank, columns, generator)
        return cls(torch.zeros(rows, rank), right, values, index, scale=alpha / rank)

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W.T``; ``W`` is not kept for the backward pass."""
        made: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            x, self.left, self.right, self.values, self.index, self.scale
        )
        return made

    def dense(self) -> Tensor:
        """``W``."""
        return _made(self.left, self.right, self.values, self.index, self.scale)


def _made(left: Tensor, right: Tensor, values: Tensor, index: Tensor, scale: float) -> Tensor:
    with torch.autocast(left.device.type, enabled=False):
        low = torch.matmul(left, right) * scale
    return low.flatten().index_add(0, index, values).view_as(low)


class _Product(torch.autograd.Function):
    """``x @ W.T``, with ``W`` made again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        left: Tensor,
        right: Tensor,
        values: Tensor,
        index: Tensor,
        scale: float,
    ) -> Tensor:
        ctx.save_for_backward(x, left, right, values, index)
        ctx.scale = scale
        return F.linear(x, _made(left, right, values, index, scale))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, left, right, values, index = ctx.saved_tensors
        weight = _made(left, right, values, index, ctx.scale).to(grad.dtype)
        of_x = torch.matmul(grad, weight).to(x.dtype)
        flat = torch.matmul(grad.flatten(0, -2).T, x.flatten(0, -2).to(grad.dtype)).to(left.dtype)
        of_left = torch.matmul(flat, right.T) * ctx.scale
        of_right = torch.matmul(left.T, flat) * ctx.scale
        return of_x, of_left, of_right, flat.flatten()[index], None, None
