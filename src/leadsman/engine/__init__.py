"""Where work happens. The functions that do the work do not know which engine runs them."""

from typing import Literal

from leadsman.engine.base import Engine, Progress
from leadsman.engine.cores import usable_cores
from leadsman.engine.local import LocalEngine
from leadsman.engine.ray import RayEngine
from leadsman.engine.threads import ThreadEngine
from leadsman.errors import EngineError

__all__ = [
    "Engine",
    "EngineName",
    "LocalEngine",
    "Progress",
    "RayEngine",
    "ThreadEngine",
    "open_engine",
    "usable_cores",
]

EngineName = Literal["local", "ray"]


def open_engine(name: str, *, workers: int = 0, threads: bool = False) -> Engine:
    """The engine that ``--engine NAME`` means.

    Args:
        name: ``local`` (this machine) or ``ray`` (a cluster; ``RAY_ADDRESS`` says which).
        workers: of the local engine; 0 means one a core.
        threads: the local engine uses threads, for work in kernels that release the GIL.

    Raises:
        EngineError: there is no such engine, or no cluster.
        MissingExtraError: Ray is not installed.

    >>> type(open_engine("local", threads=True)).__name__
    'ThreadEngine'
    """
    if name == "ray":
        return RayEngine()
    if name != "local":
        raise EngineError(f"there is no engine {name!r}; give local or ray")
    return ThreadEngine(workers) if threads else LocalEngine(workers)
