"""Where and with what a run was done: device, versions, commit, memory, energy, time."""

from __future__ import annotations

import math
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from leadsman._version import __version__
from leadsman.engine import usable_cores

CORE_WATTS = 5.0
"""Of one busy core: server processors of 2019-2024 have limits of 3.5 to 7 W a core."""


def device_name(device: str) -> str:
    """Name of the accelerator, or of the processor with its core count."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{_processor()} ({usable_cores()} cores)"


def versions() -> dict[str, str]:
    """Versions of Python, torch and Leadsman."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "leadsman": __version__,
    }


def written_with() -> dict[str, str]:
    """What a run's entry tells of the code: :func:`versions`, and the commit if there is one."""
    commit = git_commit()
    return versions() | ({"git": commit} if commit else {})


@cache
def git_commit() -> str:
    """Commit of the working directory, ``+`` after it if tracked files differ; else empty."""
    try:
        command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


def energy_joules(seconds: float, *, device: str, threads: int) -> float:
    """An estimate from above: time at the board's power limit, or at ``CORE_WATTS`` a thread."""
    return seconds * (_board_watts() if device == "cuda" else threads * CORE_WATTS)


@cache
def _board_watts() -> float:
    """Power limit of the first board; not a number if the driver does not tell."""
    query = ["nvidia-smi", "--query-gpu=power.limit", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        return float(told.stdout.splitlines()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return math.nan


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


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
