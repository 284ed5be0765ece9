"""Us and the peers on the same input, one process a job: seconds, CPU seconds, memory, agreement.

    python benchmarks/corpus/run.py --raw text.jsonl --target target.jsonl --items items.jsonl \
        --dsir PYTHON --sketch PYTHON --datatrove PYTHON --out benchmarks/corpus/results

Each PYTHON is the interpreter of an environment that holds the peer (data-selection; datasketch
and rensa; datatrove[processing,io]). ``seconds`` is measured inside the process, imports left
out, for us and for them; ``cpu_seconds`` is user and system time of the whole process tree. On a
machine that does other work too, CPU seconds are the fair comparison. Our kernels are compiled
before (``warm_up``), as any second run finds them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import machine

HERE = Path(__file__).parent


def main() -> None:
    """Run what was asked for and write ``results/corpus.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("raw", "target", "items", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("dsir", "sketch", "datatrove"):
        parser.add_argument(f"--{name}", help="interpreter with this peer")
    arguments = parser.parse_args()
    lines = sum(1 for _ in arguments.raw.open("rb"))
    results: dict[str, Any] = {
        "machine": machine("leadsman", "numpy", "numba", "pyarrow"),
        "load_before": os.getloadavg()[0],
        "documents": lines,
        "file_bytes": arguments.raw.stat().st_size,
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        warm_up(arguments, place)
        results["ours_dedup"] = ours("dedup", arguments.raw, place / "dedup")
        items = ("decontaminate", arguments.raw, arguments.items, place / "clean")
        results["ours_decontaminate"] = ours(*items)
        if arguments.sketch:
            for peer in ("rensa", "datasketch"):
                script = HERE / f"peers/{peer}_lsh.py"
                removed = place / f"{peer}.json"
                results[peer] = timed([arguments.sketch, script, arguments.raw, removed])
        if arguments.datatrove:
            results["datatrove"] = datatrove(arguments, place)
        wanted = str(lines // 10)
        job = ("dsir", arguments.raw, arguments.target, place / "dsir", wanted)
        results["ours_dsir"] = ours(*job)
        if arguments.dsir:
            theirs = place / "package"
            theirs.mkdir()
            script = HERE / "peers/dsir_package.py"
            command = [arguments.dsir, script, arguments.raw, arguments.target, theirs, wanted]
            results["dsir_package"] = timed(command)
            results["dsir_agreement"] = agreement(place / "dsir", theirs)
    results["load_after"] = os.getloadavg()[0]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "corpus.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.out / "corpus.md").write_text(table(results))
    print(table(results))


def warm_up(arguments: argparse.Namespace, place: Path) -> None:
    """Compile our kernels on the first documents."""
    few = place / "few.jsonl"
    with arguments.raw.open("rb") as lines:
        few.write_bytes(b"".join(line for line, _ in zip(lines, range(200))))
    ours("dedup", few, place / "warm1")
    ours("dsir", few, arguments.target, place / "warm2", "20")
    ours("decontaminate", few, arguments.items, place / "warm3")


def ours(*job: object) -> dict[str, float]:
    """Run one of our jobs."""
    return timed([sys.executable, HERE / "ours.py", *job])


def timed(command: list[object]) -> dict[str, float]:
    """Run a command; its own report, CPU seconds of its tree, and peak memory of its largest."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    probe = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "sys.stderr.write(done.stderr[-2000:] if done.returncode else '')\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(json.dumps([done.stdout, done.returncode, peak * 1024]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", probe, *map(str, command)], stdout=subprocess.PIPE, check=True
    )
    output, code, peak = json.loads(run.stdout)
    if code:
        raise SystemExit(f"{command} ended with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    report["cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report["peak_memory_bytes"] = peak
    return report


def datatrove(arguments: argparse.Namespace, place: Path) -> dict[str, float]:
    """Datatrove reads folders; give its two workers a file each."""
    folder, work = place / "input", place / "trove"
    folder.mkdir()
    lines = arguments.raw.read_bytes().splitlines(keepends=True)
    for part in range(2):
        (folder / f"{part}.jsonl").write_bytes(b"".join(lines[part::2]))
    script = HERE / "peers/datatrove_minhash.py"
    report = timed([arguments.datatrove, script, folder, work])
    removed = 0
    for path in (work / "removed").rglob("*.jsonl.gz"):
        count = subprocess.run(f"zcat {path} | wc -l", shell=True, capture_output=True, check=True)
        removed += int(count.stdout)
    shutil.rmtree(folder)
    return report | {"removed": removed}


def agreement(ours: Path, theirs: Path) -> dict[str, float]:
    """Rank correlation of the weights, and overlap of the top tenth and of the choices."""
    one, two = np.load(ours / "weights.npy"), np.load(theirs / "weights.npy")
    ranks = [np.argsort(np.argsort(weights)) for weights in (one, two)]
    tenth = len(one) // 10
    top = [set(np.argsort(-weights)[:tenth].tolist()) for weights in (one, two)]
    chosen = [set(json.loads((p / "chosen.json").read_text())) for p in (ours, theirs)]
    return {
        "spearman": float(np.corrcoef(*ranks)[0, 1]),
        "top_tenth_overlap": len(top[0] & top[1]) / tenth,
        "choice_overlap": len(chosen[0] & chosen[1]) / max(len(chosen[0]), 1),
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    where = results["machine"]
    lines = [
        f"{results['documents']} documents, {results['file_bytes'] / 1e6:.0f} MB of JSON lines; "
        f"{where['processor']}, {where['cores']} cores, Python {where['python']}, "
        f"{where['date']}; load {results['load_before']:.1f} before, "
        f"{results['load_after']:.1f} after.",
        "",
        "| job | tool | seconds | CPU seconds | peak memory | removed | CPU ratio to ours |",
        "|---|---|---|---|---|---|---|",
    ]
    finders = ("ours_dedup", "rensa", "datasketch", "datatrove")
    jobs = [
        ("near-duplicates, 5-word shingles, 14 x 8", "ours_dedup", finders),
        ("DSIR: read, fit, weigh, resample, write", "ours_dsir", ("ours_dsir", "dsir_package")),
        ("decontamination against 10,000 items", "ours_decontaminate", ("ours_decontaminate",)),
    ]  # fmt: skip
    for job, base, tools in jobs:
        for tool in tools:
            if tool not in results:
                continue
            run = results[tool]
            ratio = run["cpu_seconds"] / results[base]["cpu_seconds"]
            lines.append(
                f"| {job} | {tool.replace('ours_', 'leadsman ')} | {run['seconds']:.1f} | "
                f"{run['cpu_seconds']:.1f} | {run['peak_memory_bytes'] / 1e6:.0f} MB | "
                f"{run.get('removed', '')} | {ratio:.1f} |"
            )
    if "dsir_agreement" in results:
        values = results["dsir_agreement"]
        lines += [
            "",
            f"DSIR weights: Spearman {values['spearman']:.4f}, top-10 % overlap "
            f"{values['top_tenth_overlap']:.3f}, overlap of the choices "
            f"{values['choice_overlap']:.3f}.",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
