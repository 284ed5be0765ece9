"""Learning rate as a function of the step.

    wsd       linear warm-up, constant, then linear decay over the last decay_fraction of the steps
    cosine    linear warm-up, then half a cosine to the end
    constant  linear warm-up, constant

All end at ``final_lr_ratio`` of the peak (but ``constant``). Warm-up is told in tokens and does
not depend on the length of the run, so runs that differ in ``tokens`` only share their beginning:
the first :func:`shared_steps` steps of each are the same.
"""

from __future__ import annotations

import math

from leadsman.errors import InputError
from leadsman.runs import Recipe


def warmup_steps(recipe: Recipe) -> int:
    """Steps of linear warm-up, rounded up."""
    return -(-recipe.schedule.warmup_tokens // recipe.batch_tokens)


def shared_steps(recipe: Recipe) -> int:
    """Steps at the start whose learning rate does not depend on ``recipe.tokens``.

    Raises:
        InputError: warm-up does not end before the decay begins.
    """
    schedule, warmup = recipe.schedule, warmup_steps(recipe)
    if schedule.name == "constant":
        shared = recipe.steps
    elif schedule.name == "cosine":
        shared = warmup
    else:
        shared = recipe.steps - max(1, round(schedule.decay_fraction * recipe.steps))
    if shared < warmup:
        raise InputError(
            f"{recipe.tokens} tokens are too few: warm-up takes {warmup} steps and decay begins "
            f"after {shared}; raise tokens or lower schedule.warmup_tokens",
            column="tokens",
        )
    return shared


def lr_at(recipe: Recipe, step: int) -> float:
    """Learning rate of a step (the first is 0) at the reference width.

    >>> from leadsman.runs import Mixture, ModelShape, Schedule
    >>> shape = ModelShape(layers=1, width=8, heads=1, kv_heads=1, ffn_width=8, vocab_size=9,
    ...                    seq_len=4)
    >>> recipe = Recipe(shape=shape, mixture=Mixture("m", {"a": 1}), data="", tokens=40,
    ...                 batch_tokens=4, lr=1.0, schedule=Schedule(warmup_tokens=8))
    >>> [lr_at(recipe, step) for step in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
    """
    schedule, warmup, shared = recipe.schedule, warmup_steps(recipe), shared_steps(recipe)
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    if step < shared:
        return recipe.lr
    progress = (step - shared) / (recipe.steps - shared)
    shape = (1 + math.cos(math.pi * progress)) / 2 if schedule.name == "cosine" else 1 - progress
    return recipe.lr * (schedule.final_lr_ratio + (1 - schedule.final_lr_ratio) * shape)
