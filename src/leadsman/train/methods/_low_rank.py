"""A product of two factors, and its balanced form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadsman.errors import MethodError
from leadsman.runs import ModelShape
from leadsman.train.matrices import block_matrices
from leadsman.train.methods._structured import StructuredMatrix, fan_in_normal


class LowRankMatrix(StructuredMatrix):
    """``W = left @ right``, ``[rows, rank]`` and ``[rank, columns]``."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(left), nn.Parameter(right)

    @classmethod
    def nearest(cls, dense: Tensor, generator: torch.Generator, *, rank: int) -> LowRankMatrix:
        """Balanced factors of the best approximation of ``dense``; if that is zero, of zero."""
        rows, columns = dense.shape
        if not bool(dense.any()):
            return cls(torch.zeros(rows, rank), fan_in_normal(rank, columns, generator))
        left, values, right = torch.linalg.svd(dense, full_matrices=False)
        root = values[:rank].sqrt()
        return cls(left[:, :rank] * root, root[:, None] * right[:rank])

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W.T`` without making ``W``."""
        return F.linear(F.linear(x, self.right), self.left)

    def dense(self) -> Tensor:
        """``W``."""
        return torch.matmul(self.left, self.right)

    @torch.no_grad()
    def refactorize(self) -> None:
        """Balance the factors; the product stays.

        The singular values of ``left @ right`` are those of the product of the triangular parts of
        their orthogonal factorisations, which is ``[rank, rank]``.
        """
        outer, left = torch.linalg.qr(self.left)
        inner, right = torch.linalg.qr(self.right.T)
        turn, values, back = torch.linalg.svd(torch.matmul(left, right.T))
        root = values.sqrt()
        self.left.copy_(torch.matmul(outer, turn) * root)
        self.right.copy_(root[:, None] * torch.matmul(back, inner.T))


def check_rank(rank: int, shape: ModelShape) -> None:
    """Refuse a rank that a block matrix cannot have.

    Raises:
        MethodError: the rank is above the shortest side.
    """
    shortest = min(min(sides) for sides in block_matrices(shape))
    if rank > shortest:
        raise MethodError(f"rank {rank} is above the shortest side of a block matrix, {shortest}")
