"""Monarch: products of two block-diagonal matrices, optionally dense for the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.train.base import RunMethod, Training, require
from leadsman.train.matrices import block_matrices
from leadsman.train.methods._compatibility import refuse_combination
from leadsman.train.methods._growing import step_of

if TYPE_CHECKING:
    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class Monarch(RunMethod):
    """Trains each block matrix as two block-diagonal factors with a fixed permutation between.

        W[(l, b), (k, i)] = sum_s L[b, l, (k, s)] R[k, (b, s), i]        b, k = 1 .. blocks

    Rows are counted ``l blocks + b``, columns ``k columns / blocks + i``. Every slice ``(b, k)`` of
    ``W`` has rank ``rank``, so the nearest Monarch matrix to a dense one is the truncated SVD of
    each slice; factors begin there (``L`` at zero where the dense matrix is zero). With
    ``blocks = columns ** 0.5`` and rank 1 it is the paper's square case.

    *Reverse sparsification*: from ``dense_from_tokens`` on, the dense product is trained, which
    computes the same function. Claims: GPT-2 twice as fast at equal perplexity.

    Args:
        blocks: blocks of each factor; must divide the sides of every block matrix.
        rank: of a slice; by default shorter side / blocks^2 (at least 1), which gives factors of
            1 / blocks of the shorter side's square each.
        dense_from_tokens: tokens after which matrices are dense; ``None`` for never. The paper
            trains the last tenth dense.

    Raises:
        MethodError: a value out of bounds, or sides that the blocks do not divide.
    """

    name = "monarch"
    paper = Paper(
        "Monarch: Expressive Structured Matrices for Efficient and Accurate Training", 2022, 4
    )

    def __init__(
        self, *, blocks: int = 4, rank: int | None = None, dense_from_tokens: int | None = None
    ) -> None:
        require(blocks, "blocks")
        require(1 if rank is None else rank, "rank")
        require(1 if dense_from_tokens is None else dense_from_tokens, "dense_from_tokens")
        self.blocks, self.rank, self.dense_from_tokens = blocks, rank, dense_from_tokens

    def apply(self, model: Decoder, *, seed: int = 0) -> Decoder:
        """A copy of the model whose block matrices are the nearest Monarch matrices."""
        from leadsman.train.methods._monarch import MonarchMatrix
        from leadsman.train.methods._structured import structure

        for rows, columns in block_matrices(model.shape):
            if rows % self.blocks or columns % self.blocks:
                raise MethodError(
                    f"{self.blocks} blocks do not divide a block matrix of {rows} x {columns}"
                )
        return structure(
            model,
            lambda dense, generator: MonarchMatrix.nearest(
                dense, generator, blocks=self.blocks, rank=self._rank(*dense.shape)
            ),
            seed=seed,
        )

    def prepare(self, model: Decoder, recipe: Recipe) -> Decoder:
        """:meth:`apply` with the recipe's seed."""
        refuse_combination(self.name, recipe)
        return self.apply(model, seed=recipe.seed)

    def after_step(self, trainer: Training) -> None:
        """Make the matrices dense when the turn has come."""
        switch = self._dense_from_step(trainer.recipe)
        if switch is not None and trainer.step == switch:
            trainer.replace_model(self.finish(trainer.model))

    def restructure(self, trainer: Training, step: int) -> None:
        """Dense after the switch, as it is before."""
        switch = self._dense_from_step(trainer.recipe)
        if switch is not None and step >= switch:
            trainer.replace_model(self.finish(trainer.model))

    def finish(self, model: Decoder) -> Decoder:
        """The products as plain weights."""
        from leadsman.train.methods._structured import densify

        return densify(model)

    def params(self, shape: ModelShape) -> int:
        """``blocks rank (rows + columns)`` a matrix; all of the shape's where it becomes dense."""
        from leadsman.train.methods._structured import other_params

        if self.dense_from_tokens is not None:
            return shape.params
        return other_params(shape) + self._factors(shape)

    def train_flops(self, recipe: Recipe) -> float:
        """Products with the factors, with the dense matrices after the switch."""
        from leadsman.train.methods._structured import factor_flops

        sparse = factor_flops(recipe, self._factors(recipe.shape))
        switch = self._dense_from_step(recipe)
        before = recipe.trained_tokens if switch is None else recipe.batches.tokens_at(switch)
        share = min(1.0, before / recipe.trained_tokens)
        return share * sparse + (1 - share) * recipe.flops

    def _dense_from_step(self, recipe: Recipe) -> int | None:
        if self.dense_from_tokens is None:
            return None
        return step_of(self.dense_from_tokens, recipe)

    def _rank(self, rows: int, columns: int) -> int:
        return self.rank or max(1, min(rows, columns) // self.blocks**2)

    def _factors(self, shape: ModelShape) -> int:
        return sum(self.blocks * self._rank(*sides) * sum(sides) for sides in block_matrices(shape))
