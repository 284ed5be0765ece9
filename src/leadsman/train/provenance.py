"""Where and with what a run was done: device, versions, memory, time."""

from __future__ import annotations

import platform
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from leadsman._version import __version__


def device_name(device: str) -> str:
    """Name of the accelerator, or of the processor with its core count."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{_processor()} ({len(_cores())} cores)"


def versions() -> dict[str, str]:
    """Versions of Python, torch and Leadsman."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "leadsman": __version__,
    }


def peak_memory_bytes(device: str) -> int:
    """Highest allocated device memory, or resident memory of this process on a CPU."""
    import torch

    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_bytes(device: str) -> int:
    """Memory of the device, or physical memory of the machine."""
    import os

    import torch

    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def now() -> str:
    """ISO 8601 time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _cores() -> set[int]:
    import os

    return os.sched_getaffinity(0)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
