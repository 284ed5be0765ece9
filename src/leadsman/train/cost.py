"""What training will take: seconds on a reference machine.

    seconds = flops / rate(width) + evaluation + compilation

``rate`` is a table measured once (benchmarks/train/rates.py) on the reference machine: one of two
cores of an AMD EPYC with AVX512-bf16, both busy with a training process of one thread, compiled,
bf16. Estimates from the table are the same everywhere, so a design sized by them is too;
:func:`leadsman.train.machine_speed.machine_ratio` tells how long it will really take here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from leadsman.runs import Recipe
from leadsman.train.ladder import TrunkJob

RATE_GFLOPS: Mapping[int, float] = {48: 55, 72: 66, 96: 80, 128: 95, 192: 103, 256: 124}
"""FLOPs (1e9 a second) by width: one thread, its neighbour busy."""

EVALUATION_GFLOPS: Mapping[int, float] = {48: 21, 72: 31, 96: 44, 128: 58, 192: 80, 256: 88}
"""The same of the forward pass alone, which is not compiled."""

COMPILE_SECONDS = 25.0
START_SECONDS = 8.0


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


def _rate(recipe: Recipe, table: Mapping[int, float] = RATE_GFLOPS) -> float:
    """FLOPs a second at the recipe's width, interpolated over log width."""
    return 1e9 * float(
        np.interp(math.log(recipe.shape.width), np.log(list(table)), list(table.values()))
    )


def _evaluation(recipe: Recipe, tokens: int) -> float:
    return tokens * recipe.shape.forward_flops_per_token / _rate(recipe, EVALUATION_GFLOPS)
