"""A Monarch matrix and the nearest one to a dense matrix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leadsman.train.methods._structured import StructuredMatrix, fan_in_normal


class MonarchMatrix(StructuredMatrix):
    """Two block-diagonal factors with a permutation between.

    Args:
        outer: ``L``, ``[blocks, rows / blocks, blocks * rank]``.
        inner: ``R``, ``[blocks, blocks * rank, columns / blocks]``.
    """

    def __init__(self, outer: Tensor, inner: Tensor) -> None:
        super().__init__()
        self.outer, self.inner = nn.Parameter(outer), nn.Parameter(inner)

    @classmethod
    def nearest(
        cls, dense: Tensor, generator: torch.Generator, *, blocks: int, rank: int
    ) -> MonarchMatrix:
        """The nearest to ``dense`` in the Frobenius norm; if that is zero, ``L`` is zero.

        Each slice of ``dense`` is approximated by itself, so the sum of squared errors is that of
        the slices' dropped singular values, and none smaller is possible.
        """
        rows, columns = dense.shape
        if not bool(dense.any()):
            inner = fan_in_normal(blocks * blocks * rank, columns // blocks, generator)
            outer = torch.zeros(blocks, rows // blocks, blocks * rank)
            return cls(outer, inner.view(blocks, blocks * rank, -1))
        slices = dense.view(rows // blocks, blocks, blocks, columns // blocks).permute(1, 2, 0, 3)
        left, values, right = torch.linalg.svd(slices, full_matrices=False)
        root = values[..., :rank].sqrt()
        left = left[..., :rank] * root[..., None, :]
        right = root[..., None] * right[..., :rank, :]
        return cls(
            left.permute(0, 2, 1, 3).reshape(blocks, rows // blocks, blocks * rank),
            right.transpose(0, 1).reshape(blocks, blocks * rank, columns // blocks),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W.T`` as two batched products."""
        blocks, inside, width = self.inner.shape
        split = x.reshape(-1, blocks, width).transpose(0, 1)
        middle = torch.bmm(split, self.inner.transpose(1, 2))
        middle = middle.view(blocks, -1, blocks, inside // blocks).permute(2, 1, 0, 3)
        made = torch.bmm(middle.flatten(2), self.outer.transpose(1, 2))
        return made.permute(1, 2, 0).reshape(*x.shape[:-1], -1)

    def dense(self) -> Tensor:
        """``W``."""
        blocks, inside, width = self.inner.shape
        rank = inside // blocks
        outer = self.outer.view(blocks, -1, blocks, rank)
        inner = self.inner.view(blocks, blocks, rank, width)
        return torch.einsum("blks,kbsi->lbki", outer, inner).reshape(-1, blocks * width)
