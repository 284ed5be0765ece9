"""How long `import leadsman` and `leadsman --help` take: median of whole processes.

    python -m benchmarks.startup

The bar is 0.4 s. An empty interpreter is timed beside them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.machine import machine

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import leadsman": [sys.executable, "-c", "import leadsman"],
    "leadsman --help": [str(Path(sys.executable).parent / "leadsman"), "--help"],
}
RUNS = 9


def main() -> None:
    """Measure, print and write ``startup.json``."""
    seconds: dict[str, float] = {}
    for name, command in COMMANDS.items():
        times = []
        for _ in range(RUNS + 1):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        seconds[name] = round(statistics.median(times[1:]), 3)
        print(f"{name:20} {seconds[name]:.3f} s")
    result = {"machine": machine("leadsman"), "runs": RUNS, "median_seconds": seconds}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
