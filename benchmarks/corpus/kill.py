"""Kill a job twenty times; what it leaves in the end must be what an undisturbed one leaves.

    python -m benchmarks.corpus.kill large.jsonl --megabytes 1000 --out benchmarks/corpus/results

The job is ``leadsman dedup`` from JSON lines. It is started, killed with SIGKILL after a random
time (uniform up to half of what the undisturbed run took, seeded), and started again, until it has
been killed twenty times. Whenever it comes to its end, and after the last kill, all files of the
result are compared by SHA-256 (but ``report.json``, which names its directory), and it begins anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine

KILLS = 20


def main() -> None:
    """Run it and write ``kill.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=float, default=1000.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        raw = place / "in.jsonl"
        size = head(arguments.text, raw, arguments.megabytes * 1e6)
        begin = time.monotonic()
        subprocess.run(job(raw, place / "whole"), check=True, stdout=subprocess.DEVNULL)
        undisturbed = time.monotonic() - begin
        whole = tree(place / "whole")
        generator = random.Random(arguments.seed)
        stages: list[str] = []
        same: list[bool] = []
        while len(stages) < KILLS:
            process = subprocess.Popen(job(raw, place / "out"), stdout=subprocess.DEVNULL)
            try:
                process.wait(generator.uniform(0, 0.5 * undisturbed))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                stages.append(stage(place))
            else:
                same.append(compared(place, whole))
        subprocess.run(job(raw, place / "out"), check=True, stdout=subprocess.DEVNULL)
        same.append(compared(place, whole))
    result = {
        "machine": machine("leadsman", "numba", "pyarrow"),
        "load": os.getloadavg()[0],
        "input_bytes": size,
        "seed": arguments.seed,
        "undisturbed_seconds": undisturbed,
        "killed_while": {name: stages.count(name) for name in sorted(set(stages))},
        "files": len(whole),
        "kills": len(stages),
        "results_compared": len(same),
        "identical": all(same),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "kill.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if not all(same):
        raise SystemExit("the results differ")


def head(text: Path, out: Path, size: float) -> int:
    """Copy whole lines until ``size`` bytes; return how many bytes."""
    written = 0
    with text.open("rb") as lines, out.open("wb") as file:
        for line in lines:
            if written >= size:
                break
            written += file.write(line)
    return written


def compared(place: Path, whole: dict[str, str]) -> bool:
    """Whether what the job left is what the undisturbed one left; clears the place."""
    same = tree(place / "out") == whole
    for name in ("out", "out.inputs"):
        shutil.rmtree(place / name, ignore_errors=True)
    return same


def job(raw: Path, out: Path) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "leadsman", "dedup", str(raw), "--out", str(out)]


def stage(place: Path) -> str:
    """What a killed job was doing, from what it left."""
    work = place / "out/.work"
    if (place / "out/manifest.json").exists():
        return "finished"
    if not work.exists():
        return "reading the input"
    for name in ("shards", "sets", "sketch"):
        if (work / name).exists():
            return {"shards": "writing", "sets": "verifying", "sketch": "sketching"}[name]
    return "beginning"


def tree(path: Path) -> dict[str, str]:
    """Every file below a directory with its checksum."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "report.json"
    }


if __name__ == "__main__":
    main()
