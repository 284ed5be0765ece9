"""The thread engine: for work in kernels that release the GIL; nothing is copied or started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from leadsman.engine.cores import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


class ThreadEngine:
    """Work in threads of this process.

    Args:
        workers: threads at once; 0 means one a core.

    >>> sorted(result for _, result in ThreadEngine(workers=2).map(abs, [-2, 3]))
    [2, 3]
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or usable_cores()

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield ``(item, function(item))`` as each finishes; see :class:`~leadsman.engine.Engine`.

        An error in ``function`` is raised here, and no further item is begun.
        """
        with ThreadPoolExecutor(self.workers) as pool:
            pending = {pool.submit(function, item): item for item in items}
            try:
                while pending:
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield pending.pop(future), future.result()
            finally:
                for future in pending:
                    future.cancel()
