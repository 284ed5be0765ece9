"""What a process of Leadsman's trainer holds beside the tensors of its runs.

    python -m benchmarks.train.process_memory LEDGER

Read from a ledger of a plan: the peak of each run's process, less the tensors that the estimate
counts for the run (`leadsman.train.footprint`). Processes are used for one run after another, so a
peak is that of all runs of its process so far. Result:
benchmarks/train/results/process_memory.json.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from benchmarks.machine import machine

from leadsman.runs import Ledger
from leadsman.train.footprint import estimate_memory_bytes
from leadsman.train.memory.estimate import TRAINER_BYTES

RESULT = Path(__file__).parent / "results/process_memory.json"


def main() -> None:
    """Read and keep."""
    beside = []
    for run in Ledger(sys.argv[1]):
        if run.recipe is not None and run.status == "finished" and run.peak_memory_bytes:
            tensors = estimate_memory_bytes(run.recipe, branches=False) - TRAINER_BYTES
            beside.append(run.peak_memory_bytes - tensors)
    tenths = statistics.quantiles(beside, n=10)
    found = {
        "runs": len(beside),
        "beside_tensors_bytes": {
            "least": round(min(beside)),
            "median": round(statistics.median(beside)),
            "nine tenths": round(tenths[-1]),
            "most": round(max(beside)),
        },
        "machine": machine("leadsman", "torch"),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
