"""What training will take: seconds on a reference machine, and this machine's ratio to it.

    seconds = flops / rate(width) + evaluation + compilation

``rate`` is a table measured once (benchmarks/train/rates.py) on the reference machine: one of two
cores of an AMD EPYC with AVX512-bf16, both busy with a training process of one thread, compiled,
bf16. Estimates from the table are the same everywhere, so a design sized by them is too;
:func:`machine_ratio` tells how long it will really take here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from leadsman.errors import BudgetError
from leadsman.runs import Mixture, Recipe
from leadsman.train.defaults import LADDER_WIDTHS, default_recipe, shape_of_width
from leadsman.train.ladder import TrunkJob, plan_trunks

RATE_GFLOPS: Mapping[int, float] = {48: 55, 72: 66, 96: 80, 128: 95, 192: 103, 256: 124}
"""FLOPs (1e9 a second) by width: one thread, its neighbour busy."""

EVALUATION_GFLOPS: Mapping[int, float] = {48: 21, 72: 31, 96: 44, 128: 58, 192: 80, 256: 88}
"""The same of the forward pass alone, which is not compiled."""

COMPILE_SECONDS = 25.0
START_SECONDS = 8.0
PROBE_TOKENS_PER_SECOND = 12_750.0
"""Tokens a second of :func:`machine_ratio`'s probe on the reference machine."""


def estimate_seconds(recipe: Recipe, *, held_out_tokens: int = 0) -> float:
    """Seconds of one run alone on one thread of the reference machine, without start-up.

    Args:
        recipe: the run.
        held_out_tokens: tokens it is evaluated on at the end.
    """
    return recipe.flops / _rate(recipe) + _evaluation(recipe, held_out_tokens)


def estimate_job_seconds(job: TrunkJob, *, held_out_tokens: int = 0) -> float:
    """Seconds of a trunk with its branches on the reference machine, without compilation."""
    recipe = job.recipes[0]
    evaluations = len(job.recipes) * _evaluation(recipe, held_out_tokens)
    return job.flops / _rate(recipe) + evaluations


def estimate_ladder_seconds(
    jobs: Sequence[TrunkJob], *, workers: int, held_out_tokens: int = 0
) -> float:
    """Wall-clock seconds of jobs on ``workers`` processes of one thread of the reference machine.

    Jobs are handed out in order to whoever is free; a shape is compiled by the first worker that
    meets it and loaded from the disk cache by the others.
    """
    busy = [START_SECONDS] * max(1, min(workers, len(jobs)))
    compiled = set()
    for job in jobs:
        worker = busy.index(min(busy))
        busy[worker] += estimate_job_seconds(job, held_out_tokens=held_out_tokens)
        if job.use_compile and job.recipes[0].shape not in compiled:
            compiled.add(job.recipes[0].shape)
            busy[worker] += COMPILE_SECONDS
    return max(busy)


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
    precision: str | None = None,
    beside: Sequence[Recipe] = (),
) -> list[Recipe]:
    """A ladder of sizes x tokens x mixtures that takes ``minutes`` on the reference machine.

    Every size gets the same largest compute ``C`` and, by halves, ``branches`` token counts;
    ``C`` is found by bisection on :func:`estimate_ladder_seconds`. So does every recipe of
    ``beside``, at ``LENGTHS`` token counts: a single size needs more of them for a law.

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


LEAST_TOKENS = 32_768
"""Fewest tokens of a proxy: a warm-up and a decay fit in."""


def branch_tokens(most: float, branches: int) -> list[int]:
    """``branches`` token counts by halves up to ``most``, each a multiple of 1024.

    >>> branch_tokens(800_000, 3)
    [199680, 399360, 799744]
    """
    return [int(most / 2**k) // 1024 * 1024 for k in reversed(range(branches))]


LENGTHS, LEAST_RANGE, MOST_RANGE = 6, 8, 16
"""Token counts of a series of one size, and the longest of them over the shortest."""


def series_tokens(most: float) -> list[int]:
    """``LENGTHS`` token counts up to ``most``, evenly apart in their logs, multiples of 1024.

    >>> series_tokens(524_288)
    [32768, 56320, 99328, 172032, 301056, 524288]
    """
    least = max(LEAST_TOKENS, most / MOST_RANGE)
    return [round(each) // 1024 * 1024 for each in np.geomspace(least, most, LENGTHS)]


def machine_ratio(*, seconds: float = 3.0) -> float:
    """How much slower than the reference this machine is now: 1 is equal, 2 takes twice as long.

    Args:
        seconds: how long to try.
    """
    return PROBE_TOKENS_PER_SECOND / probe_tokens_per_second(seconds=seconds)


def probe_tokens_per_second(*, seconds: float = 3.0) -> float:
    """Tokens a second of a small model, not compiled, on random tokens with one thread."""
    import torch

    from leadsman.train.build import build_optimizer
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        shape = shape_of_width(96, vocab_size=2048, seq_len=256)
        recipe = default_recipe(shape, Mixture("probe", {"probe": 1}), "", 1 << 20, seed=0)
        model = Decoder(shape)
        initialize(model, seed=0)
        optimizer = build_optimizer(model, recipe)
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(shape.vocab_size, (4, shape.seq_len + 1), generator=generator)
        steps, began = -1, math.inf
        while steps < 1 or time.perf_counter() - began < seconds:
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                loss = model.loss(ids[:, :-1], ids[:, 1:])
            torch.autograd.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            steps += 1
            began = time.perf_counter() if steps == 0 else began
        return steps * 4 * shape.seq_len / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)


def _rate(recipe: Recipe, table: Mapping[int, float] = RATE_GFLOPS) -> float:
    """FLOPs a second at the recipe's width, interpolated over log width."""
    return 1e9 * float(
        np.interp(math.log(recipe.shape.width), np.log(list(table)), list(table.values()))
    )


def _evaluation(recipe: Recipe, tokens: int) -> float:
    return tokens * recipe.shape.forward_flops_per_token / _rate(recipe, EVALUATION_GFLOPS)
