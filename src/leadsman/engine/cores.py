"""How many cores this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores the scheduler may place this process on; all of the machine where it cannot tell.

    Only Linux knows the affinity of a process (a container or ``taskset`` may narrow it).

    >>> 1 <= usable_cores() <= (os.cpu_count() or 1)
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
