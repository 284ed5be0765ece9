"""The local engine: one process a core, started fresh so that threads and torch stay sane."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from leadsman.engine.cores import usable_cores
from leadsman.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalEngine:
    """Work on the cores of this machine.

    Args:
        workers: processes at once; 0 means one a core, 1 works in this process.

    >>> [result for _, result in LocalEngine(workers=1).map(abs, [-2, 3])]
    [2, 3]
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or usable_cores()

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield ``(item, function(item))`` as each finishes; see :class:`~leadsman.engine.Engine`.

        Raises:
            EngineError: a worker process died (killed, or out of memory).
        """
        if self.workers == 1 or len(items) <= 1:
            for item in items:
                yield item, function(item)
            return
        context = multiprocessing.get_context("spawn")
        workers = min(self.workers, len(items))
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent)
        try:
            pending: dict[Future[Result], Item] = {
                pool.submit(function, item): item for item in items
            }
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield pending.pop(future), future.result()
        except BrokenProcessPool as error:
            raise EngineError(
                "a worker process died (killed, or out of memory); "
                "run the same command again to continue from what is done"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _die_with_parent() -> None:
    """End this worker when its parent is gone: a killed command must not go on working."""
    parent = multiprocessing.parent_process()

    def wait_for_the_end() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
