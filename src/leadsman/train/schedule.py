"""Learning rate as a function of the step.

    wsd       linear warm-up, constant, then linear decay over the last decay_fraction of the steps
    power     the same with  min(lr, a beta n^b)  in place of the constant: n tokens seen, beta the
              batch in sequences of 4,096 tokens, a = 4.6, b = -0.51 (Shen et al. 2024, catalogue
              192: what is best for the tokens seen so far needs no planned end)
    cosine    linear warm-up, then half a cosine to the end
    constant  linear warm-up, constant

The decay goes to ``final_lr_ratio`` of the rate before it (of the peak for ``cosine``). Warm-up
begins at zero, or at ``start_lr_ratio`` of the peak: a run that continues another is re-warmed
from the rate that one ended with (Gupta et al. 2023, catalogue 71; :func:`rewarmed`).

Warm-up is told in tokens and does not depend on the length of the run, so runs that differ in
``tokens`` only share their beginning: the first :func:`shared_steps` steps of each are the same.
"""

from __future__ import annotations

import math

from leadsman.errors import InputError
from leadsman.runs import Recipe, Schedule

POWER_SEQUENCE_TOKENS = 4096
REWARMED_RATIO = 0.1


def rewarmed(*, warmup_tokens: int) -> Schedule:
    """The schedule of a continued run: from a tenth of the peak up to it, and down by a cosine.

    Gupta et al. found the length of the warm-up to matter little and the peak much: a high one
    forgets the old data and learns the new.

    >>> rewarmed(warmup_tokens=1000).final_lr_ratio
    0.1
    """
    return Schedule(
        name="cosine",
        warmup_tokens=warmup_tokens,
        start_lr_ratio=REWARMED_RATIO,
        final_lr_ratio=REWARMED_RATIO,
    )


def warmup_steps(recipe: Recipe) -> int:
    """Steps of linear warm-up, rounded up."""
    tokens = recipe.schedule.warmup_tokens
    steps = recipe.batches.steps_within(tokens)
    return steps + (recipe.batches.tokens_at(steps) < tokens)


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

    >>> from leadsman.runs import Mixture, ModelShape
    >>> shape = ModelShape(layers=1, width=8, heads=1, kv_heads=1, ffn_width=8, vocab_size=9,
    ...                    seq_len=4)
    >>> recipe = Recipe(shape=shape, mixture=Mixture("m", {"a": 1}), data="", tokens=40,
    ...                 batch_tokens=4, lr=1.0, schedule=Schedule(warmup_tokens=8))
    >>> [lr_at(recipe, step) for step in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
    """
    schedule, batches = recipe.schedule, recipe.batches
    warmup, shared = warmup_steps(recipe), shared_steps(recipe)
    if step < warmup:
        done = batches.tokens_at(step + 1) / batches.tokens_at(warmup)
        first = schedule.start_lr_ratio
        return _plateau(recipe, warmup) * (first + (1 - first) * done)
    if step < shared:
        return _plateau(recipe, step)
    begin, end = batches.tokens_at(shared), recipe.trained_tokens
    progress = (batches.tokens_at(step) - begin) / (end - begin)
    shape = (1 + math.cos(math.pi * progress)) / 2 if schedule.name == "cosine" else 1 - progress
    last = schedule.final_lr_ratio
    return _plateau(recipe, shared) * (last + (1 - last) * shape)


def _plateau(recipe: Recipe, step: int) -> float:
    """Learning rate between warm-up and decay."""
    schedule = recipe.schedule
    seen = recipe.batches.tokens_at(step)
    if schedule.name != "power" or seen == 0:
        return recipe.lr
    beta = recipe.batches.batch_at(step) / POWER_SEQUENCE_TOKENS
    return min(recipe.lr, schedule.power_amplitude * beta * math.pow(seen, schedule.power_exponent))


def explain_schedule(recipe: Recipe) -> list[str]:
    """The schedule of a recipe, one line for each part with its formula."""
    schedule, batches = recipe.schedule, recipe.batches
    lines = []
    if recipe.start:
        lines.append(f"continues from weights {recipe.start}, with a new optimizer")
    first = f" from {schedule.start_lr_ratio:g} lr" if schedule.start_lr_ratio else ""
    lines.append(f"warm-up {schedule.warmup_tokens} tokens, linear{first}")
    if schedule.name == "power":
        lines.append(
            f"then lr(n) = min({recipe.lr:g}, {schedule.power_amplitude:g} x "
            f"{recipe.batch_tokens}/{POWER_SEQUENCE_TOKENS} x n^{schedule.power_exponent:g}) "
            f"after n tokens"
        )
    if schedule.name == "cosine":
        lines.append(f"then half a cosine to {schedule.final_lr_ratio:g} lr at {recipe.tokens}")
    elif schedule.name != "constant":
        lines.append(
            f"decay to {schedule.final_lr_ratio:g} of it over the last "
            f"{schedule.decay_fraction:.0%} of {recipe.tokens} tokens"
        )
    if schedule.ramp_tokens:
        lines.append(
            f"batch doubles from {batches.start_tokens} to {batches.batch_tokens} tokens over "
            f"the first {schedule.ramp_tokens}"
        )
    return lines
