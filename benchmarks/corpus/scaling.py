"""Time and memory against size: near-duplicates and DSIR, from JSON lines to the written corpus.

    python -m benchmarks.corpus.make_large text.jsonl --gigabytes 3 --out large.jsonl
    python -m benchmarks.corpus.scaling large.jsonl --target target.jsonl \
        --gigabytes 0.2 1 3 --out benchmarks/corpus/results

One process a size, kernels compiled before. ``cpu_seconds`` is the fair measure on a machine that
does other work too. Memory is the peak of the process so far, jobs in the order of the table;
that of ``convert`` must not grow with the input.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.corpus.kill import head
from benchmarks.machine import machine

JOB = """
import json, resource, sys, time
from pathlib import Path
from leadsman.corpus import convert, deduplicate
from leadsman.select import Policy, select
from leadsman.select.methods.dsir import DSIR

raw, target, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def used():
    run = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), run.ru_utime + run.ru_stime, run.ru_maxrss * 1024

results = {}
def measure(name, function):
    before = used()
    result = function()
    after = used()
    results[name] = {
        "seconds": after[0] - before[0],
        "cpu_seconds": after[1] - before[1],
        "peak_memory_bytes": after[2],
    }
    return result

options = {"source": "text", "compression": "lz4"}
corpus = measure("convert", lambda: convert(raw, work / "raw", **options).corpus)
results["documents"], results["text_bytes"] = corpus.documents, corpus.text_bytes
wanted = convert(target, work / "target").corpus
policy = Policy(rule="resample", documents=corpus.documents // 10)
measure("dsir", lambda: select(corpus, wanted, work / "d", selector=DSIR(), policy=policy))
measure("dedup", lambda: deduplicate(corpus, work / "u", n=5, bands=14, rows=8))
print(json.dumps(results))
"""


def main() -> None:
    """Run every size and write ``scaling.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "scaling.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"sizes": {}}
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, 0.01, Path(folder) / "warm")
    for gigabytes in arguments.gigabytes:
        with tempfile.TemporaryDirectory() as folder:
            measured = run(arguments, gigabytes, Path(folder))
        results["sizes"][f"{gigabytes:g}"] = measured | {"load": os.getloadavg()[0]}
        results["machine"] = machine("leadsman", "numba", "pyarrow")
        file.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


def run(arguments: argparse.Namespace, gigabytes: float, place: Path) -> dict[str, Any]:
    """All jobs on the first ``gigabytes`` of the text."""
    place.mkdir(exist_ok=True)
    raw = place / "in.jsonl"
    head(arguments.text, raw, gigabytes * 1e9)
    command = [sys.executable, "-c", JOB, str(raw), str(arguments.target), str(place)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def table(results: dict[str, Any]) -> str:
    """CPU seconds and seconds a gigabyte, and peak memory, by size."""
    lines = ["| GB | documents | job | s/GB | CPU s/GB | peak memory | load |", "|" + "---|" * 7]
    for measured in results["sizes"].values():
        size = measured["text_bytes"] / 1e9
        for job in ("convert", "dsir", "dedup"):
            used = measured[job]
            lines.append(
                f"| {size:.2f} | {measured['documents']:,} | {job} | {used['seconds'] / size:.1f} "
                f"| {used['cpu_seconds'] / size:.1f} | {used['peak_memory_bytes'] / 1e6:.0f} MB "
                f"| {measured['load']:.1f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
