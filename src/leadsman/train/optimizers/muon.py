"""Muon: orthogonalised momentum for the block matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import OptimizerMethod, require

if TYPE_CHECKING:
    import torch

    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class Muon(OptimizerMethod):
    """Steps block matrices by their orthogonalised momentum; AdamW for the rest.

        M <- b M + G        P <- (1 - lr d) P - 0.2 sqrt(max(rows, columns)) lr NS5(G + b M)

    ``NS5`` (five Newton-Schulz iterations) sends all singular values to about one; the factor
    gives the step the root mean square of an AdamW step, so AdamW's ``lr`` serves. Query, key and
    value are orthogonalised together, as are gate and up. State: 4 bytes a block parameter.

    The rate falls with width as muP has it for Adam, ``64 / width``. An orthogonal step's largest
    singular value grows as sqrt(width), not as width, so over a ladder of widths Muon's steps get
    smaller than muP asks, by sqrt(64 / width): compare optimizers at rates tried at that width.

    Args:
        momentum: decay ``b``.
        iterations: of Newton-Schulz.

    Raises:
        MethodError: a value out of bounds.
    """

    name = "muon"
    state_numbers = 1
    paper = Paper("Muon is Scalable for LLM Training", 2025)

    def __init__(self, *, momentum: float = 0.95, iterations: int = 5) -> None:
        require(momentum, "momentum", below=1)
        require(iterations, "iterations", below=100)
        self.momentum, self.iterations = momentum, iterations

    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """torch's Muon for block matrices, fused AdamW for embeddings and gains."""
        import torch

        from leadsman.train.optimizers._joined import JoinedOptimizer, adamw, split_groups

        blocks, rest = split_groups(model, recipe)
        muon = torch.optim.Muon(
            blocks,
            momentum=self.momentum,
            ns_steps=self.iterations,
            adjust_lr_fn="match_rms_adamw",
        )
        return JoinedOptimizer([muon, adamw(rest)])

    def state_bytes(self, shape: ModelShape) -> int:
        """One moment a block matrix, AdamW's two for the rest."""
        return 4 * (2 * shape.params - shape.layers * shape.block_matrix_params)
