"""What every export shares: learning rates by kind of parameter, steps, and what is refused.

The recipe's ``lr`` belongs to width 64; with ``m = 64 / width`` (maximal update parametrization,
:mod:`leadsman.train.parametrization`):

    kind        parameters                       learning rate   weight decay
    embedding   token embedding                  12 lr           0
    norm        norms of the blocks              lr              0
    final       last norm (tied embeddings)      lr m            0
    head        output matrix (untied)           lr m            0
    matrix      attention and SwiGLU matrices    lr m            decay / m
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from leadsman.errors import MethodError
from leadsman.runs import Recipe
from leadsman.runs.recipe import Packing

REFERENCE_WIDTH = 64
EMBEDDING_LR_SCALE = 12.0
BETAS, EPS = (0.9, 0.95), 1e-8


@dataclass(frozen=True)
class Exported:
    """Files of one tool.

    Attributes:
        files: content by name.
        notes: how to start it, and what is not carried over; Markdown.
    """

    files: dict[str, str]
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Rates:
    """Learning rate and weight decay by kind of parameter.

    >>> from leadsman.runs import Mixture, ModelShape
    >>> shape = ModelShape(layers=1, width=128, heads=2, kv_heads=2, ffn_width=256, vocab_size=512,
    ...                    seq_len=64)
    >>> recipe = Recipe(shape=shape, mixture=Mixture("m", {"a": 1}), data="", tokens=64,
    ...                 batch_tokens=64, lr=0.01)
    >>> rates = Rates.of(recipe)
    >>> rates.embedding, rates.matrix, rates.matrix_decay
    (0.12, 0.005, 0.2)
    """

    embedding: float
    norm: float
    final: float
    head: float
    matrix: float
    matrix_decay: float

    @classmethod
    def of(cls, recipe: Recipe) -> Rates:
        """Rates of a recipe at its width."""
        m = REFERENCE_WIDTH / recipe.shape.width
        return cls(
            embedding=EMBEDDING_LR_SCALE * recipe.lr,
            norm=recipe.lr,
            final=recipe.lr * m if recipe.shape.tie_embeddings else recipe.lr,
            head=recipe.lr * m,
            matrix=recipe.lr * m,
            matrix_decay=recipe.weight_decay / m,
        )


def warmup_steps(recipe: Recipe) -> int:
    """Steps of linear warm-up, rounded up."""
    return -(-recipe.schedule.warmup_tokens // recipe.batch_tokens)


def decay_steps(recipe: Recipe) -> int:
    """Steps of the final decay (``wsd``)."""
    return max(1, round(recipe.schedule.decay_fraction * recipe.steps))


def sequences(recipe: Recipe) -> int:
    """Sequences in one optimizer step."""
    return recipe.batch_tokens // recipe.shape.seq_len


def refuse_unknown(recipe: Recipe, tool: str, *, continues: bool = False) -> None:
    """Refuse what would be another run in the other tool.

    Args:
        recipe: to be exported.
        tool: its name.
        continues: whether the tool can re-warm and begin with given weights.

    Raises:
        MethodError: an optimizer other than AdamW, a training method, or a way to schedule, pack
            or start that only Leadsman's own loop has.
    """
    schedule = recipe.schedule
    if schedule.name == "power":
        _refuse("the power schedule", tool, "schedule wsd")
    if schedule.ramp_tokens or (schedule.start_lr_ratio and not continues):
        _refuse("a batch ramp or re-warming", tool, "neither")
    if recipe.packing != Packing():
        _refuse("another packing than stream", tool, "the default packing")
    if recipe.start and not continues:
        _refuse("the weights of another run as its start", tool, "a fresh start")
    if recipe.optimizer != "adamw":
        _refuse(f"the optimizer {recipe.optimizer!r}", tool, "adamw")
    others = sorted(name for name in recipe.methods if name != recipe.optimizer)
    if others:
        _refuse(f"the training method {', '.join(others)}", tool, "none")


def _refuse(what: str, tool: str, instead: str) -> None:
    raise MethodError(
        f"the recipe uses {what}, which the export to {tool} does not know; plan with {instead}, "
        f"or do the run with `leadsman train`"
    )
