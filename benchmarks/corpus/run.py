"""Us and the peers on the same input, one process a job: seconds, CPU seconds, memory, agreement.

    python -m benchmarks.corpus.run PART... --inputs DIR --out benchmarks/corpus/results \
        --dsir PYTHON --sketch PYTHON --datatrove PYTHON

DIR is made by ``make_text.py`` and ``make_inputs.py``. The parts can be run one by one; each adds
to the same result file. Each PYTHON is the interpreter of an environment that holds the peer
(data-selection; datasketch and rensa; datatrove[processing,io]). ``seconds`` is measured inside
the process, imports left out, for us and for them; ``cpu_seconds`` is user and system time of the
whole process tree. On a machine that does other work too, CPU seconds are the fair comparison. Our
kernels are compiled before (``warm_up``), as any second run finds them.
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
from benchmarks.machine import machine

HERE = Path(__file__).parent
TURNS = 3


def main() -> None:
    """Run the parts asked for and write ``results/corpus.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    for name in ("inputs", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("dsir", "sketch", "datatrove"):
        parser.add_argument(f"--{name}", help="interpreter with this peer")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "corpus.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    raw = arguments.inputs / "text.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        warm_up(arguments.inputs, place)
        for part in arguments.parts:
            before = os.getloadavg()[0]
            for name, measured in PARTS[part](arguments, place).items():
                results[name] = measured | {"load_before": before, "load_after": os.getloadavg()[0]}
            results |= {
                "machine": machine("leadsman", "numpy", "numba", "pyarrow"),
                "documents": sum(1 for _ in raw.open("rb")),
                "file_bytes": raw.stat().st_size,
            }
            file.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
            (arguments.out / "corpus.md").write_text(table(results))
    print(table(results))


def run_ours(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Decontamination; how many planted copies are found."""
    inputs = arguments.inputs
    return {
        "ours_decontaminate": ours(
            "decontaminate", inputs / "leaky.jsonl", inputs / "items.jsonl", place / "clean"
        ),
        "planted": ours("recall", inputs / "planted.jsonl", place / "planted", 14, 8),
        "planted_default": ours("recall", inputs / "planted.jsonl", place / "default", 20, 6),
    }


def run_turns(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Near-duplicates by us and by rensa, in turns; of each the run of middle seconds."""
    raw = arguments.inputs / "text.jsonl"
    script = HERE / "peers/rensa_lsh.py"
    runs: dict[str, list[dict[str, Any]]] = {"ours_dedup": [], "rensa": []}
    for turn in range(TURNS):
        runs["ours_dedup"].append(ours("dedup", raw, place / f"turn{turn}"))
        runs["rensa"].append(timed([arguments.sketch, script, raw, place / "rensa.json"]))
    return {
        tool: sorted(each, key=lambda run: run["seconds"])[TURNS // 2]
        | {"runs": [[round(run["seconds"], 2), round(run["cpu_seconds"], 2)] for run in each]}
        for tool, each in runs.items()
    }


def run_datasketch(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Datasketch, the slower of the two."""
    raw, script = arguments.inputs / "text.jsonl", HERE / "peers/datasketch_lsh.py"
    return {"datasketch": timed([arguments.sketch, script, raw, place / "datasketch.json"])}


def run_dsir(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """DSIR by us and by its authors' package, and how far they agree."""
    raw, target = arguments.inputs / "text.jsonl", arguments.inputs / "target.jsonl"
    wanted = str(sum(1 for _ in raw.open("rb")) // 10)
    measured = {"ours_dsir": ours("dsir", raw, target, place / "dsir", wanted)}
    if arguments.dsir:
        theirs = place / "package"
        theirs.mkdir()
        command = [arguments.dsir, HERE / "peers/dsir_package.py", raw, target, theirs, wanted]
        measured["dsir_package"] = timed(command)
        measured["dsir_agreement"] = agreement(place / "dsir", theirs)
    return measured


def run_datatrove(arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Datatrove's four stages."""
    return {"datatrove": datatrove(arguments, place)}


PARTS = {
    "turns": run_turns,
    "ours": run_ours,
    "datasketch": run_datasketch,
    "dsir": run_dsir,
    "datatrove": run_datatrove,
}


def warm_up(inputs: Path, place: Path) -> None:
    """Compile our kernels on the first documents."""
    few = place / "few.jsonl"
    with (inputs / "text.jsonl").open("rb") as lines:
        few.write_bytes(b"".join(line for line, _ in zip(lines, range(200))))
    ours("dedup", few, place / "warm1")
    ours("dsir", few, inputs / "target.jsonl", place / "warm2", "20")
    ours("decontaminate", few, inputs / "items.jsonl", place / "warm3")


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
    lines = (arguments.inputs / "text.jsonl").read_bytes().splitlines(keepends=True)
    for part in range(2):
        (folder / f"{part}.jsonl").write_bytes(b"".join(lines[part::2]))
    script = HERE / "peers/datatrove_minhash.py"
    report = timed([arguments.datatrove, script, folder, work])
    removed = 0
    for path in (work / "removed").rglob("*.jsonl.gz"):
        count = subprocess.run(f"zcat {path} | wc -l", shell=True, capture_output=True, check=True)
        removed += int(count.stdout)
    shutil.rmtree(folder)
    # Its workers are children of a fork server that outlives it: their use is not counted here.
    del report["cpu_seconds"], report["peak_memory_bytes"]
    return report | {"removed": removed}


def agreement(ours: Path, theirs: Path) -> dict[str, float]:
    """Rank correlation of the weights, and overlap of the top tenth and of the choices."""
    one, two = np.load(ours / "weights.npy"), np.load(theirs / "weights.npy")
    ranks = [np.argsort(np.argsort(weights)) for weights in (one, two)]
    tenth = len(one) // 10
    top = [set(np.argsort(-weights)[:tenth].tolist()) for weights in (one, two)]
    chosen = [set(json.loads((p / "chosen.json").read_text())) for p in (ours, theirs)]
    reduction = [kl_of(ours, ids) for ids in chosen]
    return {
        "spearman": float(np.corrcoef(*ranks)[0, 1]),
        "top_tenth_overlap": len(top[0] & top[1]) / tenth,
        "kl_reduction_ours": reduction[0],
        "kl_reduction_package": reduction[1],
        "choice_overlap": len(chosen[0] & chosen[1]) / max(len(chosen[0]), 1),
    }


def kl_of(work: Path, ids: set[str]) -> float:
    """KL(target || raw) - KL(target || chosen) of hashed uni- and bigrams, nats."""
    from leadsman.corpus import Corpus, write_corpus
    from leadsman.corpus.ngrams.counts import hashed_counts, kl_reduction

    raw, target = Corpus.open(work / "raw"), Corpus.open(work / "target")
    rows = (row for batch in raw.batches() for row in batch.to_pylist() if row["id"] in ids)
    with tempfile.TemporaryDirectory() as folder:
        chosen = hashed_counts(write_corpus(folder, rows))
    return kl_reduction(hashed_counts(target), hashed_counts(raw), chosen)


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    where = results["machine"]
    lines = [
        f"{results['documents']} documents, {results['file_bytes'] / 1e6:.0f} MB of JSON lines; "
        f"{where['processor']}, {where['cores']} cores, Python {where['python']}, "
        f"{where['date']}.",
        "",
        "| job | tool | seconds | CPU seconds | peak memory | removed | ratio of seconds to ours | "
        "of CPU seconds | load before, after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    finders = ("ours_dedup", "rensa", "datasketch", "datatrove")
    jobs = [
        ("near-duplicates, 5-word shingles, 14 x 8", "ours_dedup", finders),
        ("DSIR: read, fit, weigh, resample, write", "ours_dsir", ("ours_dsir", "dsir_package")),
        ("decontamination against 10,000 items", "ours_decontaminate", ("ours_decontaminate",)),
    ]  # fmt: skip
    for job, base, tools in jobs:
        for tool in tools:
            if tool not in results or base not in results:
                continue
            run = results[tool]
            cpu, peak = run.get("cpu_seconds"), run.get("peak_memory_bytes")
            lines.append(
                f"| {job} | {tool.replace('ours_', 'leadsman ')} | {run['seconds']:.1f} | "
                f"{'' if cpu is None else f'{cpu:.1f}'} | "
                f"{'' if peak is None else f'{peak / 1e6:.0f} MB'} | {run.get('removed', '')} | "
                f"{run['seconds'] / results[base]['seconds']:.1f} | "
                f"{'' if cpu is None else format(cpu / results[base]['cpu_seconds'], '.1f')} | "
                f"{run['load_before']:.1f}, {run['load_after']:.1f} |"
            )
    if "ours_decontaminate" in results:
        run = results["ours_decontaminate"]
        lines += [
            "",
            f"Decontamination: {run['megabytes_a_second']:.0f} MB/s from JSON lines to the written "
            f"corpus, {run['search_megabytes_a_second']:.0f} MB/s from corpus to corpus; "
            f"{run['leaks_found']} of {run['leaks']} planted items found.",
        ]
    for name, bands in (("planted", "14 x 8"), ("planted_default", "20 x 6, the default")):
        if "attainable" in results.get(name, {}):
            run = results[name]
            lines += [
                "",
                f"Planted copies with 2 % of the words edited, {bands}: {run['found']:.0f} of "
                f"{run['planted']:.0f} removed ({run['recall_of_all']:.4f}). Copies are compared "
                f"with what stays: of the others, each compared with every document that stays, "
                f"{run['missed']:.0f} have one of similarity 0.7 or more, so recall of what could "
                f"be removed is {run['recall']:.4f}, and all that can be reached while the first "
                f"of two copies stays and each removal is near what stays is "
                f"{run['attainable']:.4f}: of the {run['planted'] - run['found']:.0f} that stay "
                f"{run['left_and_original_gone']:.0f} are copies of a document that is itself a "
                f"copy of an earlier one and went, {run['left_unlike_their_original']:.0f} are "
                f"short and less than 0.7 like their original, "
                f"{run['left_beside_their_original']:.0f} are missed beside it. Of the "
                f"{run['originals_kept']:.0f} copies whose original stays "
                f"{run['recall_where_kept']:.4f} went. Of "
                f"{run['removed']:.0f} removals (whole "
                f"clusters would have been {run['proposed']:.0f}), {run['sampled']:.0f} near "
                f"copies drawn at random and compared in plain Python: lowest Jaccard similarity "
                f"{run['sampled_lowest']:.3f}, precision at 0.7 {run['sampled_precision']:.3f}.",
            ]
    if "dsir_agreement" in results:
        values = results["dsir_agreement"]
        lines += [
            "",
            f"DSIR weights: Spearman {values['spearman']:.4f}, top-10 % overlap "
            f"{values['top_tenth_overlap']:.3f}, overlap of the choices "
            f"{values['choice_overlap']:.3f}. KL reduction of the choice, nats, both counted by "
            f"our features: ours {values['kl_reduction_ours']:.4f}, "
            f"package {values['kl_reduction_package']:.4f}.",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
