"""The Ray engine: the same functions as tasks on a Ray cluster.

An item is a task on one CPU. Ray runs a task again when its worker or its node dies; since the
functions write whole files under fixed names, a task that ran twice leaves what one run leaves.
Tasks carry only the item; documents are read and written where the task runs, so inputs and
results must lie on storage that every node sees.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from leadsman.errors import EngineError, MissingExtraError

Item = TypeVar("Item")
Result = TypeVar("Result")

TASKS_A_CPU = 4
"""Tasks submitted for each CPU: enough that none waits for the driver."""


class RayEngine:
    """Work on a Ray cluster.

    Connects to the cluster the process is connected to already, else to ``address``, else to the
    one that ``RAY_ADDRESS`` or a ``ray start`` on this machine names, else starts one here.

    Args:
        address: of the cluster, as in ``ray.init``.
        retries: how often a task is run again after its worker or node died.
        cpus: CPUs that one item takes.
        gpus: GPUs that one item takes; a share is allowed.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: there is no cluster at ``address``.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        retries: int = 3,
        cpus: float = 1.0,
        gpus: float = 0.0,
    ) -> None:
        self._ray = _connect(address)
        self.retries = retries
        self.cpus = cpus
        self.gpus = gpus
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1) / cpus))

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield ``(item, function(item))`` as each finishes; see :class:`~leadsman.engine.Engine`.

        An error in ``function`` is raised here, and no further item is begun.

        Raises:
            EngineError: a worker or node died more than ``retries`` times under one item.
        """
        ray = self._ray
        task = ray.remote(_apply).options(
            num_cpus=self.cpus, num_gpus=self.gpus, max_retries=self.retries
        )
        # Put once: a partial may hold a corpus of many shards.
        stored = ray.put(function)
        waiting = iter(items)
        pending: dict[Any, Item] = {}
        try:
            while True:
                while len(pending) < TASKS_A_CPU * self.workers:
                    try:
                        item = next(waiting)
                    except StopIteration:
                        break
                    pending[task.remote(stored, item)] = item
                if not pending:
                    return
                done, _ = ray.wait(list(pending), num_returns=1)
                for reference in done:
                    yield pending.pop(reference), self._result(reference)
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise EngineError(
                f"a worker or node of the Ray cluster died {self.retries + 1} times under the same "
                f"item, or the cluster is gone ({type(error).__name__}); run the same command "
                f"again to continue from what is done"
            ) from error


def _apply(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _connect(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "the Ray engine") from error
    if ray.is_initialized():
        return ray
    # Ray warns of a change to come in what it does with GPU variables of tasks without a GPU.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(
            address=address,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"no Ray cluster can be reached at {address or 'this machine'}: {error}"
        ) from error
    return ray
