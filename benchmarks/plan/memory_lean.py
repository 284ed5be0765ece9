"""What giving freed memory back costs and brings: peak and processor time of training steps.

    python -m benchmarks.plan.memory_lean > benchmarks/plan/results/memory_lean.json

Some configurations of memory.py, each in a process of its own: with glibc's defaults, and with
:func:`leadsman.train.allocator.return_freed_memory` called before the model is built, as ``leadsman
train --lean`` does, at three sizes. Time is the processor's, user and system together, so that a
busy machine hardly matters.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.plan import memory

from leadsman.runs import ModelShape
from leadsman.train.allocator import return_freed_memory
from leadsman.train.memory import TrainingSetting, estimate_memory

NAMES = ("full, seq 512", "lora 16 on all", "bf16 mixed", "checkpointing, seq 1024")
SIZES = (0, 1 << 16, 1 << 20)
STEPS = 5
CHILD = (sys.executable, "-m", "benchmarks.plan.memory_lean", "--child")


def seconds() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def child(name: str, large: int) -> None:
    """One configuration in this process; prints JSON."""
    import torch

    if large and not return_freed_memory(large):
        raise SystemExit("there is no glibc here")
    torch.set_num_threads(1)
    setting = memory.configurations()[name]
    small = ModelShape(
        layers=2, width=64, heads=2, kv_heads=1, ffn_width=128, vocab_size=256, seq_len=64
    )
    tiny = TrainingSetting(**(vars(setting) | {"shape": small, "optimizer_rank": 8}))
    memory._train(tiny, 2, False)
    base = memory._status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    began = seconds()
    memory._train(setting, STEPS, False)
    print(json.dumps({"peak": memory._status("VmHWM") - base, "seconds": seconds() - began}))


def main() -> None:
    """Measure all; print JSON."""
    rows = []
    for name in NAMES:
        estimate = estimate_memory(memory.configurations()[name]).total
        for large in SIZES:
            command = [*CHILD, name, str(large)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(answer.stdout.splitlines()[-1])
            row = {"name": name, "large_bytes": large or None, "estimate": estimate} | found
            rows.append(row | {"error": estimate / found["peak"] - 1})
            print(
                name, large, f"{rows[-1]['error']:+.1%} {found['seconds']:.1f} s", file=sys.stderr
            )
    print(
        json.dumps(
            {"machine": machine("torch", "transformers", "leadsman"), "rows": rows}, indent=1
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        main()
