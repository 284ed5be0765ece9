"""SLTrain: weights that are low-rank plus sparse from the first step to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import RunMethod, require
from leadsman.train.matrices import block_matrices
from leadsman.train.methods._compatibility import refuse_combination, refuse_start

if TYPE_CHECKING:
    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class SLTrain(RunMethod):
    """Trains each block matrix as a low-rank product plus a sparse matrix of fixed random support.

        W = alpha / rank B A + S        S has ``density`` of the entries, drawn once, uniformly

    ``B`` begins at zero, ``S`` uniform within ``columns ** -0.5`` (at zero where the dense matrix
    begins at zero). The dense ``W`` is made for each product and again in the backward pass; only
    ``B``, ``A`` and the values of ``S`` are kept, with Adam's moments. Claim: the loss of full-rank
    training; up to 73 % less memory at 7B, with 8-bit moments and per-layer updates.

    Args:
        rank: of the product.
        density: share of entries in ``S``.
        alpha: scale of the product, over the rank.

    Raises:
        MethodError: a value out of bounds, or a rank above a matrix's shorter side.
    """

    name = "sltrain"
    paper = Paper(
        "SLTrain: a sparse plus low-rank approach for parameter and memory efficient pretraining",
        2024,
        45,
    )

    def __init__(self, *, rank: int = 16, density: float = 0.03, alpha: float = 16.0) -> None:
        require(rank, "rank")
        require(density, "density", below=1)
        require(alpha, "alpha")
        self.rank, self.density, self.alpha = rank, density, alpha

    def apply(self, model: Decoder, *, seed: int = 0) -> Decoder:
        """A copy of the model whose block matrices are structured and at their initial values.

        Args:
            model: embeddings and gains are taken over, the block matrices' sizes only.
            seed: of support and ``A``.
        """
        from functools import partial

        from leadsman.train.methods._low_rank import check_rank
        from leadsman.train.methods._sparse import SparsePlusLowRank
        from leadsman.train.methods._structured import structure

        check_rank(self.rank, model.shape)
        build = partial(
            SparsePlusLowRank.like, rank=self.rank, density=self.density, alpha=self.alpha
        )
        return structure(model, build, seed=seed)

    def prepare(self, model: Decoder, recipe: Recipe) -> Decoder:
        """:meth:`apply` with the recipe's seed."""
        refuse_combination(self.name, recipe)
        refuse_start(self.name, recipe)
        return self.apply(model, seed=recipe.seed)

    def finish(self, model: Decoder) -> Decoder:
        """The merged weights."""
        from leadsman.train.methods._structured import densify

        return densify(model)

    def params(self, shape: ModelShape) -> int:
        """Trained parameters: ``rank (rows + columns) + density rows columns`` a matrix."""
        from leadsman.train.methods._structured import other_params

        return other_params(shape) + sum(
            self.rank * (rows + columns) + self._support(rows, columns)
            for rows, columns in block_matrices(shape)
        )

    def index_bytes(self, shape: ModelShape) -> int:
        """Bytes of the supports, 8 an entry."""
        return 8 * sum(self._support(*sides) for sides in block_matrices(shape))

    def train_flops(self, recipe: Recipe) -> float:
        """The dense products, and ``W`` and its factors' gradients once a step."""
        product = sum(rows * columns for rows, columns in block_matrices(recipe.shape))
        return recipe.flops + recipe.steps * 8.0 * self.rank * product

    def _support(self, rows: int, columns: int) -> int:
        return round(self.density * rows * columns)
