"""GaLore: Adam in the span of the gradient's leading singular vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class GaLore(OptimizerMethod):
    """Keeps Adam's moments in a subspace refreshed by SVD; updates stay full-size.

        P = first rank left singular vectors of G, every ``refresh`` steps
        p <- (1 - lr d) p - lr scale P adam(P^T G)

    Moments are kept when the subspace changes, as in the paper. Claim there: 65.5 % less optimizer
    state at 7B with rank 1024.

    Args:
        rank: directions kept of each matrix's shorter side.
        refresh: steps between choices of the subspace.
        scale: of the block matrices' step.

    Raises:
        MethodError: a value out of bounds, or a rank above a matrix's shorter side.
    """

    name = "galore"
    paper = Paper("GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection", 2024, 24)

    def __init__(self, *, rank: int = 16, refresh: int = 200, scale: float = 0.25) -> None:
        require(rank, "rank")
        require(refresh, "refresh")
        require(scale, "scale")
        self.rank, self.refresh, self.scale = rank, refresh, scale

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """Projected Adam for block matrices, fused AdamW for embeddings and gains."""
        from leadsman.train.optimizers._projected import GaLoreAdam, projected

        return projected(
            GaLoreAdam, model, recipe, rank=self.rank, refresh=self.refresh, scale=self.scale
        )

    def state_bytes(self, shape: ModelShape) -> int:
        """Bytes of optimizer state in float32: two moments and the basis a matrix."""
        from leadsman.train.optimizers._sizes import block_matrices

        sides = block_matrices(shape)
        projected = sum(
            self.rank * (2 * max(rows, columns) + min(rows, columns)) for rows, columns in sides
        )
        rest = shape.params - sum(rows * columns for rows, columns in sides)
        return 4 * (projected + 2 * rest)
