"""The three layouts of many small runs on one machine.

    processes   one process a core, each one run at a time with one thread; one compiled graph a
                shape, shared through the disk cache
    threads     one process, one run at a time with all cores
    stacked     runs of one shape side by side as one batched computation

Which is fastest depends on the machine and the shape: :func:`~leadsman.train.layout.choose_layout`
measures. Results are those of each run alone: bitwise for processes, within floating-point
tolerance for the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from leadsman.runs import Recipe
from leadsman.train.ladder import TrunkJob, plan_trunks
from leadsman.train.schedule import shared_steps

MOST_STACKED = 256
MEMORY_SHARE = 0.6
"""Share of the memory that stacks may fill by the estimate."""


@dataclass(frozen=True)
class Layout:
    """How runs are spread over a machine.

    Attributes:
        name: ``processes``, ``threads`` or ``stacked``.
        workers: processes at once.
        threads: torch threads of each.
        stack: runs side by side in each.
    """

    name: Literal["processes", "threads", "stacked"]
    workers: int
    threads: int = 1
    stack: int = 1

    def __str__(self) -> str:
        if self.name == "stacked":
            return f"{self.stack} runs stacked in each of {self.workers} processes"
        if self.name == "threads":
            return f"one run at a time with {self.threads} threads"
        return f"{self.workers} processes of one thread"


def lay_out(recipes: Sequence[Recipe], layout: Layout, **fields: Any) -> list[TrunkJob]:
    """Recipes as jobs in a layout; those that cannot be stacked are jobs of their own.

    Args:
        recipes: any number, in any order.
        layout: how.
        fields: of :class:`~leadsman.train.ladder.TrunkJob`, ``threads`` left out.
    """
    jobs = plan_trunks(recipes, **fields | {"threads": layout.threads})
    return stack_jobs(jobs, layout.stack) if layout.stack > 1 else jobs


def stack_jobs(jobs: Sequence[TrunkJob], most: int) -> list[TrunkJob]:
    """Jobs of equal shape, tokens and steps put side by side, at most ``most`` in a stack.

    Stacks of one kind are made equal in size, so that workers end together.
    """
    from leadsman.train.stacked import stack_key, unstackable

    kinds: dict[Any, list[TrunkJob]] = {}
    for number, job in enumerate(jobs):
        alone = any(unstackable(recipe) for recipe in job.recipes)
        key = tuple((stack_key(recipe), shared_steps(recipe)) for recipe in job.recipes)
        kinds.setdefault(number if alone else key, []).append(job)
    stacked = []
    for kind in kinds.values():
        count = math.ceil(len(kind) / most)
        for number in range(count):
            first, *rest = kind[number::count]
            stacked.append(replace(first, beside=tuple(job.recipes for job in rest)))
    return stacked


def largest_stack(recipes: Sequence[Recipe], device: str, *, workers: int) -> int:
    """Runs side by side that fit the memory, spread over the workers."""
    from leadsman.train.footprint import estimate_memory_bytes
    from leadsman.train.memory.estimate import TRAINER_BYTES
    from leadsman.train.provenance import memory_bytes

    each = max(estimate_memory_bytes(recipe, device=device) for recipe in recipes) - TRAINER_BYTES
    room = MEMORY_SHARE * memory_bytes(device) / workers - TRAINER_BYTES
    return max(1, min(MOST_STACKED, int(room / each), math.ceil(len(recipes) / workers)))
