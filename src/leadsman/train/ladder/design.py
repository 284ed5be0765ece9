"""A ladder of small runs that takes a given time: how long each of its runs is.

    sizes x mixtures x token counts by halves up to C / FLOPs per token

with one largest compute ``C`` for all sizes, as large as the time allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leadsman.errors import BudgetError
from leadsman.runs import Mixture, Precision, Recipe
from leadsman.train.cost import estimate_ladder_seconds
from leadsman.train.defaults import LADDER_WIDTHS, default_recipe, shape_of_width
from leadsman.train.ladder.job import plan_trunks

LEAST_TOKENS = 32_768
"""Fewest tokens of a proxy: a warm-up and a decay fit in."""

LENGTHS, LEAST_RANGE, MOST_RANGE = 6, 8, 16
"""Token counts of a series of one size, and the longest of them over the shortest."""


def ladder_recipes(
    mixtures: Sequence[Mixture],
    data: str,
    *,
    minutes: float,
    vocab_size: int,
    seq_len: int,
    seed: int,
    workers: int = 2,
    held_out_tokens: int = 0,
    branches: int = 4,
    widths: Sequence[int] = LADDER_WIDTHS,
    precision: Precision | None = None,
    beside: Sequence[Recipe] = (),
) -> list[Recipe]:
    """A ladder of sizes x tokens x mixtures that takes ``minutes`` on the reference machine.

    Every size gets the same largest compute ``C`` and, by halves, ``branches`` token counts; ``C``
    is found by bisection on :func:`leadsman.train.cost.estimate_ladder_seconds`. So does every
    recipe of ``beside``, at ``LENGTHS`` token counts: a single size needs more of them for a law.

    Args:
        mixtures: data mixtures to sound.
        data: identity of the tokenised sources.
        minutes: wall-clock time.
        vocab_size, seq_len: of the models.
        seed: of initialisation and data order.
        workers: processes at once.
        held_out_tokens: tokens each run is evaluated on.
        branches: token counts a size.
        widths: of the models, one a size.
        precision: see :func:`~leadsman.train.defaults.default_recipe`.
        beside: series of one size each, such as runs continued from a model; recipes but for their
            tokens.

    Raises:
        BudgetError: not enough for the smallest ladder.
    """

    shapes = [shape_of_width(w, vocab_size=vocab_size, seq_len=seq_len) for w in sorted(widths)]

    def design(flops: float) -> list[Recipe]:
        ladder = [
            default_recipe(shape, mixture, data, tokens, seed=seed, precision=precision)
            for shape in shapes
            for mixture in mixtures
            for tokens in branch_tokens(flops / shape.train_flops_per_token, branches)
        ]
        return ladder + [
            replace(recipe, tokens=tokens)
            for recipe in beside
            for tokens in series_tokens(flops / recipe.shape.train_flops_per_token)
        ]

    def seconds(flops: float) -> float:
        jobs = plan_trunks(design(flops), sources={}, held_out={}, ledger="", work="")
        return estimate_ladder_seconds(jobs, workers=workers, held_out_tokens=held_out_tokens)

    low = LEAST_TOKENS * max(
        2 ** (branches - 1) * shapes[-1].train_flops_per_token,
        LEAST_RANGE * max((each.shape.train_flops_per_token for each in beside), default=0.0),
    )
    allowed = minutes * 60
    if seconds(low) > allowed:
        raise BudgetError(
            f"{minutes:g} minutes are too few for the smallest ladder of {len(mixtures)} mixtures"
            f"{f' and {len(beside)} series of a given model' if beside else ''}; "
            f"{math.ceil(seconds(low) / 6) / 10:g} are the least"
        )
    high = low
    while seconds(high) < allowed:
        high *= 2
    for _ in range(20):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if seconds(middle) < allowed else (low, middle)
    return design(low)


def branch_tokens(most: float, branches: int) -> list[int]:
    """``branches`` token counts by halves up to ``most``, each a multiple of 1024.

    >>> branch_tokens(800_000, 3)
    [199680, 399360, 799744]
    """
    return [int(most / 2**k) // 1024 * 1024 for k in reversed(range(branches))]


def series_tokens(most: float) -> list[int]:
    """``LENGTHS`` token counts up to ``most``, evenly apart in their logs, multiples of 1024.

    >>> series_tokens(524_288)
    [32768, 56320, 99328, 172032, 301056, 524288]
    """
    least = max(LEAST_TOKENS, most / MOST_RANGE)
    return [round(each) // 1024 * 1024 for each in np.geomspace(least, most, LENGTHS)]
