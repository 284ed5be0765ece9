"""DCT: Adam in the cosine directions a gradient is most aligned with; no SVD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.matrices import block_matrices
from leadsman.train.optimizers._subspace import SubspaceMethod

if TYPE_CHECKING:
    from leadsman.runs import ModelShape
    from leadsman.train.optimizers._projected import ProjectedAdam


class DCT(SubspaceMethod):
    """Picks the subspace from a fixed cosine basis: one product and a sort instead of an SVD.

        D orthonormal DCT-II;  chosen = rank largest row norms of D^T G
        p <- (1 - lr d) p - lr scale D[:, chosen] adam((D^T G)[chosen])

    Only indices are stored a matrix. A direction that stays chosen keeps its moments, a new one
    begins at zero: the change of basis is a partial permutation. Claim: the quality of SVD
    projections with less memory and time.

    Args:
        rank: directions kept of each matrix's shorter side.
        refresh: steps between choices of the subspace.
        scale: of the block matrices' step.

    Raises:
        MethodError: a value out of bounds, or a rank above a matrix's shorter side.
    """

    name = "dct"
    paper = Paper(
        "SVD-Free Low-Rank Adaptive Gradient Optimization for Large Language Models", 2025, 6
    )

    def __init__(self, *, rank: int = 16, refresh: int = 1, scale: float = 0.25) -> None:
        super().__init__(rank=rank, refresh=refresh, scale=scale)

    def optimizer(self) -> type[ProjectedAdam]:
        """Adam in the chosen cosines."""
        from leadsman.train.optimizers._projected import DCTAdam

        return DCTAdam

    def basis_numbers(self, shape: ModelShape) -> int:
        """``rank`` indices a matrix, and one whole basis a side length, shared by all matrices."""
        sides = [min(pair) for pair in block_matrices(shape)]
        return self.rank * len(sides) + sum(side * side for side in set(sides))
