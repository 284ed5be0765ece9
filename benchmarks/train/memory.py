"""The memory estimate against what a training process really takes.

    python -m benchmarks.train.memory [CASE ...]

One process a row trains a model of 23M parameters for a few steps as ``leadsman train`` does,
writing a checkpoint after each step, alone or with a branch. Compared is the largest resident size.
Linux only.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.train.corpora import random_tokens
from benchmarks.train.result import RESULTS, write_result

from leadsman.runs import Mixture, ModelShape, Recipe, Schedule
from leadsman.train.footprint import estimate_memory_bytes
from leadsman.train.ladder import TrunkJob, run_trunk

SHAPE = ModelShape(
    layers=6, width=512, heads=8, kv_heads=8, ffn_width=1376, vocab_size=8192, seq_len=128
)
STEPS = 5
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw": ("adamw", {}),
    "lion": ("lion", {}),
    "galore": ("galore", {"galore": {"rank": 128}}),
    "sltrain": ("adamw", {"sltrain": {"rank": 128}}),
    "low_rank": ("adamw", {"low_rank": {"rank": 128}}),
    "monarch": ("adamw", {"monarch": {"blocks": 4}}),
}


def recipe(name: str, steps: int) -> Recipe:
    """A run of so many steps."""
    optimizer, methods = CASES[name]
    return Recipe(
        shape=SHAPE,
        mixture=Mixture("m", {"a": 1}),
        data="",
        tokens=steps * 512,
        batch_tokens=512,
        lr=1e-3,
        schedule=Schedule(warmup_tokens=512, decay_fraction=0.4),
        optimizer=optimizer,
        methods=methods,
        precision="float32",
    )


def measure(name: str, *, branches: bool) -> dict[str, float]:
    """Estimate and largest resident bytes of this process, which trains."""
    with tempfile.TemporaryDirectory() as out:
        tokens = random_tokens(Path(out, "tokens"), vocab_size=SHAPE.vocab_size)
        recipes = [recipe(name, STEPS)]
        if branches:
            recipes.append(recipe(name, 2 * STEPS))
        job = TrunkJob(
            recipes=tuple(recipes),
            sources={"a": str(tokens)},
            held_out={},
            ledger=f"{out}/ledger",
            work=f"{out}/work",
            device="cpu",
            compiled=False,
            checkpoint_seconds=0.0,
        )
        run_trunk(job)
    return {
        "estimated_bytes": estimate_memory_bytes(recipes[0], branches=branches),
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def main() -> None:
    """Measure in a process of its own every case that is named; keep the results of the others."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--here", action="store_true", help="measure one in this process; print")
    parser.add_argument("--branches", action="store_true")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.cases[0], branches=given.branches)))
        return
    file = RESULTS / "memory.json"
    rows: dict[str, Any] = json.loads(file.read_text())["rows"] if file.exists() else {}
    for name in given.cases:
        for label, options in ((name, []), (f"{name}, branching", ["--branches"])):
            command = [sys.executable, "-m", "benchmarks.train.memory", name, "--here", *options]
            told = subprocess.run(command, check=True, capture_output=True, text=True)
            row = json.loads(told.stdout.splitlines()[-1])
            rows[label] = row | {"ratio": round(row["estimated_bytes"] / row["peak_bytes"], 3)}
            write_result("memory", machine("torch") | {"params": SHAPE.params, "rows": rows})


if __name__ == "__main__":
    main()
