"""The one shape of an engine: apply a picklable function to items, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with (items done, items in all) after each item."""


class Engine(Protocol):
    """Runs per-shard and per-run functions somewhere."""

    workers: int

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield ``(item, function(item))`` as each finishes.

        ``function`` must be picklable (defined at module level) and safe to run twice: an engine
        may retry an item whose worker died.

        Raises:
            EngineError: a worker died and the item could not be retried.
        """
        ...
