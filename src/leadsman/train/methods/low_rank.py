"""Low-rank pretraining with weight refactorization and momentum reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.train.base import RunMethod, Training, require
from leadsman.train.matrices import block_matrices
from leadsman.train.methods._compatibility import refuse_combination

if TYPE_CHECKING:
    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class LowRank(RunMethod):
    """Trains each block matrix as a product of two factors, balanced anew now and then.

        W = B A
        every ``refactor_every`` steps:  U s V^T = svd(B A),  B <- U s^0.5,  A <- s^0.5 V^T

    The product does not change, the factors get equal singular values, and Adam's moments of the
    factors, which belong to the old ones, are set to zero. The factors begin as the best
    approximation of the dense initial values (``B`` at zero where those are zero). Claim: below the
    perplexity of GaLore with 25 % less memory at 1B.

    Args:
        rank: of the product.
        refactor_every: steps between refactorizations; 0 for never (plain low-rank training).
        reset_momentum: set the moments to zero at each refactorization.

    Raises:
        MethodError: a value out of bounds, a rank above a matrix's shorter side, or a momentum
            reset with an optimizer other than AdamW.
    """

    name = "low_rank"
    paper = Paper(
        "Scalable Parameter and Memory Efficient Pretraining for LLM: Recent Algorithmic "
        "Advances and Benchmarking",
        2025,
        3,
    )

    def __init__(
        self, *, rank: int = 16, refactor_every: int = 200, reset_momentum: bool = True
    ) -> None:
        require(rank, "rank")
        require(refactor_every, "refactor_every", above=-1)
        self.rank, self.refactor_every = rank, refactor_every
        self.reset_momentum = reset_momentum

    def apply(self, model: Decoder, *, seed: int = 0) -> Decoder:
        """A copy of the model with factorised block matrices."""
        from functools import partial

        from leadsman.train.methods._low_rank import LowRankMatrix, check_rank
        from leadsman.train.methods._structured import structure

        check_rank(self.rank, model.shape)
        return structure(model, partial(LowRankMatrix.nearest, rank=self.rank), seed=seed)

    def prepare(self, model: Decoder, recipe: Recipe) -> Decoder:
        """:meth:`apply` with the recipe's seed."""
        refuse_combination(self.name, recipe)
        if self.refactor_every and self.reset_momentum and recipe.optimizer != "adamw":
            raise MethodError(
                f"low_rank resets AdamW's moments, and the optimizer is {recipe.optimizer}; "
                f"use adamw, or reset_momentum: false"
            )
        return self.apply(model, seed=recipe.seed)

    def after_step(self, trainer: Training) -> None:
        """Refactorize and reset when the turn has come."""
        if not self.refactor_every or trainer.step % self.refactor_every:
            return
        from leadsman.train.methods._low_rank import LowRankMatrix

        for module in trainer.model.modules():
            if isinstance(module, LowRankMatrix):
                module.refactorize()
                for param in module.parameters() if self.reset_momentum else ():
                    for moment in ("exp_avg", "exp_avg_sq"):
                        trainer.optimizer.state[param][moment].zero_()

    def finish(self, model: Decoder) -> Decoder:
        """The products as plain weights."""
        from leadsman.train.methods._structured import densify

        return densify(model)

    def params(self, shape: ModelShape) -> int:
        """Trained parameters: ``rank (rows + columns)`` a matrix."""
        from leadsman.train.methods._structured import other_params

        return other_params(shape) + self._factors(shape)

    def train_flops(self, recipe: Recipe) -> float:
        """Products with the factors instead of the dense matrices."""
        from leadsman.train.methods._structured import factor_flops

        return factor_flops(recipe, self._factors(recipe.shape))

    def _factors(self, shape: ModelShape) -> int:
        return sum(self.rank * sum(sides) for sides in block_matrices(shape))
