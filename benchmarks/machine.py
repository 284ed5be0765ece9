"""What a measurement was made on, put into every result."""

from __future__ import annotations

import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from leadsman.engine import usable_cores


def machine(*packages: str) -> dict[str, str]:
    """Processor, cores, Python, date, and the versions of ``packages``."""
    found = {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": str(usable_cores()),
        "python": platform.python_version(),
    }
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
