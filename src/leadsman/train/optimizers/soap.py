"""SOAP: Adam in the eigenbasis of Shampoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class SOAP(OptimizerMethod):
    """Runs Adam in the eigenbasis of Shampoo's preconditioners, refreshed now and then.

        L <- b L + (1 - b) G G^T,  R <- b R + (1 - b) G^T G,  Adam on  Q_L^T G Q_R

    State: 8 bytes a parameter, and 8 (rows^2 + columns^2) bytes a matrix; sides longer than
    ``max_side`` (the embedding's) are not preconditioned.

    Args:
        beta1: decay of the mean.
        beta2: decay of the square.
        refresh: steps between refreshes of the basis.
        max_side: longest preconditioned side.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "soap"
    paper = Paper("SOAP: Improving and Stabilizing Shampoo using Adam", 2024)

    def __init__(
        self, *, beta1: float = 0.95, beta2: float = 0.95, refresh: int = 10, max_side: int = 1024
    ) -> None:
        require(beta1, "beta1", below=1)
        require(beta2, "beta2", below=1)
        require(refresh, "refresh")
        require(max_side, "max_side")
        self.beta1, self.beta2, self.refresh, self.max_side = beta1, beta2, refresh, max_side

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """SOAP over all parameters."""
        from leadsman.train.optimizers._library import from_library

        return from_library(
            "SOAP",
            model,
            recipe,
            betas=(self.beta1, self.beta2),
            precondition_frequency=self.refresh,
            max_precondition_dim=self.max_side,
        )

    def state_bytes(self, shape: ModelShape) -> int:
        """Two moments a parameter; a preconditioner and its basis for each side of a matrix."""
        from leadsman.train.matrices import BLOCK_MATRICES, columns, row_parts

        blocks = [(sum(row_parts(shape, kind)), columns(shape, kind)) for kind in BLOCK_MATRICES]
        outer = [(shape.vocab_size, shape.width)] * (1 if shape.tie_embeddings else 2)
        sides = [side for sides in blocks * shape.layers + outer for side in sides]
        return 8 * shape.params + 8 * sum(side * side for side in sides if side <= self.max_side)
