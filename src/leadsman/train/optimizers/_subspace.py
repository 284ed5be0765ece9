"""What GaLore and DCT share: hyperparameters, the split of the model, the count of bytes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.train.base import OptimizerMethod, require
from leadsman.train.matrices import block_matrices

if TYPE_CHECKING:
    import torch

    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder
    from leadsman.train.optimizers._projected import ProjectedAdam


class SubspaceMethod(OptimizerMethod):
    """Projected Adam for each block matrix, fused AdamW for embeddings and gains.

    Args:
        rank: directions kept of each matrix's shorter side.
        refresh: steps between choices of the subspace.
        scale: of the block matrices' step.

    Raises:
        MethodError: a value out of bounds, a rank above a matrix's shorter side, or a model whose
            matrices are kept in factors.
    """

    def __init__(self, *, rank: int, refresh: int, scale: float) -> None:
        require(rank, "rank")
        require(refresh, "refresh")
        require(scale, "scale")
        self.rank, self.refresh, self.scale = rank, refresh, scale

    @abstractmethod
    def optimizer(self) -> type[ProjectedAdam]:
        """The torch optimizer of the block matrices."""

    @abstractmethod
    def basis_numbers(self, shape: ModelShape) -> int:
        """Numbers of 4 bytes kept for the bases of all block matrices."""

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Both optimizers as one."""
        from leadsman.train.optimizers._joined import JoinedOptimizer, adamw, split_groups

        shortest = min(min(sides) for sides in block_matrices(model.shape))
        if self.rank > shortest:
            raise MethodError(
                f"rank {self.rank} is above the shortest side of a block matrix, {shortest}"
            )
        blocks, rest = split_groups(model, recipe, factors=False)
        projected = self.optimizer()(
            model, blocks, rank=self.rank, refresh=self.refresh, scale=self.scale
        )
        return JoinedOptimizer([projected, adamw(rest)])

    def state_bytes(self, shape: ModelShape) -> int:
        """Bytes of optimizer state in float32: two moments a matrix, the bases, Adam's rest."""
        sides = block_matrices(shape)
        moments = sum(2 * self.rank * max(pair) for pair in sides)
        rest = shape.params - sum(rows * columns for rows, columns in sides)
        return 4 * (moments + self.basis_numbers(shape) + 2 * rest)
