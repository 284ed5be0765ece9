"""Progressive training: a family of model sizes, each grown from the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.train.base import Training, require
from leadsman.train.methods._growing import GrowingMethod, Stage, step_of

if TYPE_CHECKING:
    from leadsman.runs import ModelShape, Recipe


class ProgressiveFamily(GrowingMethod):
    """Trains each size of a family to its end, then grows it into the next.

        compute of size k = flops(k alone) - flops(k - 1 alone)

    so that the whole family costs what its largest member would alone. Every size has its own
    warm-up and decay, and its own peak ``lr (params of size k / params of the last) ** -lr_power``;
    growth keeps the function. Claim: a 1B to 8B family for 25 % less compute at equal quality, and
    better with learning rates by size.

    Args:
        sizes: the smaller members, small to large: ``width``, ``tokens`` and (optional) ``layers``
            of each. The recipe's shape is the last, trained on the tokens that remain.
        lr_power: of the peaks; 0 leaves them to the parametrization, which scales by width already.
        save: directory for the smaller members (Hugging Face format, ``<width>x<layers>``); empty
            for none.

    Raises:
        MethodError: no size, an entry with other fields, or a size that does not grow into the
            next.
    """

    name = "progressive_family"
    knows_length = True
    paper = Paper(
        "Efficient Construction of Model Family through Progressive Training Using Model Expansion",
        2025,
        409,
    )

    def __init__(
        self, *, sizes: Sequence[Mapping[str, int]], lr_power: float = 0.0, save: str = ""
    ) -> None:
        if not sizes:
            raise MethodError("sizes must name one smaller member at least")
        for size in sizes:
            if not {"width", "tokens"} <= set(size) <= {"width", "tokens", "layers"}:
                raise MethodError(
                    f"a size has width, tokens and (optional) layers, not {dict(size)}"
                )
            require(size["tokens"], "tokens of a size")
        require(lr_power, "lr_power", above=-1e-12)
        self.sizes, self.lr_power, self.save = sizes, lr_power, save

    @staticmethod
    def tokens_of_members(shapes: Sequence[ModelShape], tokens: Sequence[int]) -> list[int]:
        """Tokens to train each member on, by the equation above.

        Args:
            shapes: of the members, small to large.
            tokens: on which each would be trained alone.
        """
        alone = [s.train_flops_per_token * t for s, t in zip(shapes, tokens, strict=True)]
        spent = [0.0, *alone[:-1]]
        return [
            round((own - before) / shape.train_flops_per_token)
            for own, before, shape in zip(alone, spent, shapes, strict=True)
        ]

    def stages(self, recipe: Recipe) -> list[Stage]:
        """The members, the recipe's shape last."""
        from leadsman.train.methods._growth import narrower

        found: list[Stage] = []
        tokens = 0
        if recipe.schedule.ramp_tokens:
            raise MethodError("progressive_family has a schedule a member; it takes no batch ramp")
        for size in self.sizes:
            shape = narrower(recipe.shape, size["width"])
            shape = replace(shape, layers=size.get("layers", shape.layers))
            if found and not _fits(found[-1].shape, shape):
                raise MethodError(f"{_name(found[-1].shape)} does not grow into {_name(shape)}")
            found.append(Stage(shape, step_of(tokens, recipe)))
            tokens += size["tokens"]
        if not _fits(found[-1].shape, recipe.shape):
            raise MethodError(f"{_name(found[-1].shape)} does not grow into {_name(recipe.shape)}")
        return [*found, Stage(recipe.shape, step_of(tokens, recipe))]

    def before_step(self, trainer: Training) -> None:
        """Scale the step to the member's own schedule."""
        from leadsman.train.schedule import lr_at

        recipe, stages = trainer.recipe, self.stages(trainer.recipe)
        number = max(k for k, stage in enumerate(stages) if stage.first_step <= trainer.step)
        ends = [*(stage.first_step for stage in stages[1:]), recipe.steps]
        first, shape = stages[number].first_step, stages[number].shape
        member = replace(
            recipe,
            shape=shape,
            tokens=(ends[number] - first) * recipe.batch_tokens,
            lr=recipe.lr * (shape.params / recipe.shape.params) ** -self.lr_power,
        )
        factor = lr_at(member, trainer.step - first) / lr_at(recipe, trainer.step)
        for group in trainer.optimizer.param_groups:
            group.setdefault("whole_lr_scale", group["lr_scale"])
            group["lr_scale"] = group["whole_lr_scale"] * factor

    def leave(self, trainer: Training) -> None:
        """Save the member that is finished."""
        if self.save:
            from leadsman.train.hf import save_hf

            with trainer.evaluated() as model:
                save_hf(model, Path(self.save, _name(model.shape)))


def _fits(small: ModelShape, large: ModelShape) -> bool:
    return (
        large.width % small.width == 0
        and large.layers >= small.layers
        and (large.width, large.layers) != (small.width, small.layers)
    )


def _name(shape: ModelShape) -> str:
    return f"{shape.width}x{shape.layers}"
