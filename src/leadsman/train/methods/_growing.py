"""What methods share that train a small model first and grow it during the run."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.train.base import RunMethod, Training
from leadsman.train.methods._compatibility import refuse_combination, refuse_start

if TYPE_CHECKING:
    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


@dataclass(frozen=True)
class Stage:
    """A shape, and the step from which it is trained."""

    shape: ModelShape
    first_step: int


class GrowingMethod(RunMethod):
    """Trains ever larger shapes, the recipe's at the end.

    The recipe's tokens are those of all stages together. The optimizer starts anew after growth.
    """

    @abstractmethod
    def stages(self, recipe: Recipe) -> list[Stage]:
        """Shapes in the order they are trained, the recipe's last.

        Raises:
            MethodError: a shape that does not grow into the next.
        """

    def grow(self, model: Decoder, shape: ModelShape, *, seed: int) -> Decoder:
        """A model of ``shape`` that computes what ``model`` does; that is left as it is."""
        from leadsman.train.methods._growth import deepen, widen

        factor = shape.width // model.shape.width
        wide = widen(model, factor, seed=seed) if factor > 1 else model
        return deepen(wide, shape.layers) if shape.layers > wide.shape.layers else wide

    def prepare(self, model: Decoder, recipe: Recipe) -> Decoder:
        """An initialised model of the first stage's shape."""
        from leadsman.train.model import Decoder
        from leadsman.train.parametrization import initialize

        refuse_combination(self.name, recipe)
        refuse_start(self.name, recipe)
        stages = self.stages(recipe)
        if stages[-1].first_step >= recipe.steps:
            raise MethodError(
                f"{self.name} grows to the last size after "
                f"{recipe.batches.tokens_at(stages[-1].first_step):,} tokens and the run has "
                f"{recipe.tokens:,}; raise tokens or grow earlier"
            )
        small = Decoder(stages[0].shape)
        initialize(small, seed=recipe.seed)
        return small.to(model.embedding.device)

    def after_step(self, trainer: Training) -> None:
        """Grow when the next stage begins."""
        for stage in self.stages(trainer.recipe)[1:]:
            if stage.first_step == trainer.step:
                self.leave(trainer)
                grown = self.grow(trainer.model, stage.shape, seed=trainer.recipe.seed)
                trainer.replace_model(grown)

    def leave(self, trainer: Training) -> None:
        """Called at the end of a stage, before growth."""

    def restructure(self, trainer: Training, step: int) -> None:
        """A model of the shape that is trained after ``step`` steps."""
        from leadsman.train.model import Decoder

        shape = self.stage_at(trainer.recipe, step).shape
        if trainer.model.shape != shape:
            trainer.replace_model(Decoder(shape).to(trainer.device))

    def stage_at(self, recipe: Recipe, step: int) -> Stage:
        """The stage of the step after ``step`` steps."""
        return [stage for stage in self.stages(recipe) if stage.first_step <= step][-1]

    def train_flops(self, recipe: Recipe) -> float:
        """Each stage's tokens at its own shape's cost."""
        stages, tokens_at = self.stages(recipe), recipe.batches.tokens_at
        ends = [stage.first_step for stage in stages[1:]] + [recipe.steps]
        return sum(
            (tokens_at(end) - tokens_at(stage.first_step)) * stage.shape.train_flops_per_token
            for stage, end in zip(stages, ends, strict=True)
        )


def step_of(tokens: float, recipe: Recipe) -> int:
    """Steps after which at least ``tokens`` tokens are trained on."""
    steps = recipe.batches.steps_within(int(tokens))
    return steps if recipe.batches.tokens_at(steps) >= tokens else steps + 1
