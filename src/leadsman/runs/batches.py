"""How many tokens each optimizer step of a run takes: one size, or a ramp of doublings up to it.

    start, 2 start, 4 start, ..., batch_tokens

Each size of the ramp lasts for an equal share of ``ramp_tokens``, rounded up to whole steps. The
sizes do not depend on the length of the run, so runs of several lengths share their beginning.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from leadsman.errors import InputError


@dataclass(frozen=True)
class BatchPlan:
    """Batch size by step.

    Attributes:
        batch_tokens: tokens a step after the ramp.
        start_tokens: tokens of the first step; ``batch_tokens`` over a power of two.
        ramp_tokens: tokens after which the full size is reached.

    Raises:
        InputError: ``start_tokens`` is not ``batch_tokens`` over a power of two.

    >>> plan = BatchPlan(1024, start_tokens=256, ramp_tokens=2048)
    >>> [plan.batch_at(step) for step in range(8)]
    [256, 256, 256, 256, 512, 512, 1024, 1024]
    >>> plan.tokens_at(7), plan.steps_within(3071), plan.steps_within(3072)
    (3072, 6, 7)
    """

    batch_tokens: int
    start_tokens: int
    ramp_tokens: int

    def __post_init__(self) -> None:
        ratio, rest = divmod(self.batch_tokens, max(self.start_tokens, 1))
        if rest or ratio & (ratio - 1):
            raise InputError(
                f"{self.start_tokens} must be {self.batch_tokens} (batch_tokens) over a power of "
                f"two, so that the batch doubles up to it",
                column="ramp_start_tokens",
            )

    @cached_property
    def _stages(self) -> list[tuple[int, int]]:
        """(batch size, steps) of each size of the ramp."""
        doublings = (self.batch_tokens // self.start_tokens).bit_length() - 1
        sizes = [self.start_tokens * 2**k for k in range(doublings)]
        return [(size, -(-self.ramp_tokens // (doublings * size))) for size in sizes]

    @cached_property
    def _ends(self) -> tuple[list[int], list[int]]:
        """Steps and tokens done at the end of each stage, from zero."""
        steps = accumulate((count for _, count in self._stages), initial=0)
        tokens = accumulate((size * count for size, count in self._stages), initial=0)
        return list(steps), list(tokens)

    def batch_at(self, step: int) -> int:
        """Tokens of a step (the first is 0)."""
        stage = bisect_right(self._ends[0], step) - 1
        return self._stages[stage][0] if stage < len(self._stages) else self.batch_tokens

    def tokens_at(self, step: int) -> int:
        """Tokens trained on after that many steps."""
        steps, tokens = self._ends
        stage = bisect_right(steps, step) - 1
        return tokens[stage] + (step - steps[stage]) * self.batch_at(step)

    def steps_within(self, tokens: int) -> int:
        """The most steps that take no more than ``tokens``."""
        steps, ends = self._ends
        stage = bisect_right(ends, tokens) - 1
        return steps[stage] + (tokens - ends[stage]) // self.batch_at(steps[stage])
