"""What selections of real text are worth: `leadsman select --sweep` with a hidden and no needle.

    python -m benchmarks.select.sweep --corpora DIR --out benchmarks/select/results \
        [--cases hidden absent] [--proxy ngram|neural] [--pool-bytes N] [--equal-bytes N] \
        [--own-size-only] [--name NAME] [--work DIR]

DIR holds one Parquet file (text, source) a corpus. Two cases for each needle:

hidden   half of the needle's documents are the target, the other half is mixed with all other
         corpora and dealt into four sources at random, so that no source name gives it away
absent   the pool is the other corpora under their own names; nothing of the needle is in it

With ``--work`` a run that was killed continues.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from benchmarks.machine import machine

from leadsman.corpus import Corpus, write_corpus
from leadsman.select.sweep import SweepDesign, SweepReport, sweep

METHODS = ("dsir", "dsir:length_normalised=true", "ngram-perplexity", "ngram-classifier")
AMOUNTS = (0.01, 0.03, 0.1, 0.3, 1.0)


def case(name: str, needle: str, corpora: Path, place: Path) -> tuple[Corpus, Corpus]:
    """Pool and target of one case."""
    tables = {file.stem: pq.read_table(file) for file in sorted(corpora.glob("*.parquet"))}
    generator = np.random.default_rng(0)
    wanted = tables.pop(needle)["text"].to_pylist()
    order = generator.permutation(len(wanted))
    target = [wanted[i] for i in order[: len(order) // 2]]
    rows = [
        {"text": text, "source": source}
        for source, table in tables.items()
        for text in table["text"].to_pylist()
    ]
    if name == "hidden":
        rows += [{"text": wanted[i], "source": ""} for i in order[len(order) // 2 :]]
        dealt = generator.permutation(len(rows))
        rows = [rows[i] | {"source": f"crawl-{n % 4}"} for n, i in enumerate(dealt)]
    return (
        write_corpus(place / "raw", rows),
        write_corpus(place / "target", [{"text": text} for text in target], source="target"),
    )


def table(report: SweepReport) -> str:
    """The losses as Markdown."""
    amounts = sorted({cell.amount for cell in report.cells})
    lines = []
    for view in report.views:
        lines.append(f"| {view} | " + " | ".join(f"{a:g}" for a in amounts) + " |")
        lines.append("|---" * (len(amounts) + 1) + "|")
        for method in dict.fromkeys(cell.method for cell in report.cells):
            cells = [report.cell(method, view, amount) for amount in amounts]
            texts = [
                f"{c.bpb:.3f} ± {c.seed_sd or 0:.3f}{' ✗' if c.worse_than else ''}" for c in cells
            ]
            lines.append(f"| {method} | " + " | ".join(texts) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run the cases; write ``sweep-PROXY.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=["hidden", "absent"])
    parser.add_argument("--needles", nargs="+", default=["peps", "tldr_other"])
    parser.add_argument("--proxy", default="ngram")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--amounts", nargs="+", type=float, default=list(AMOUNTS))
    parser.add_argument("--pool-bytes", type=int, default=200_000_000)
    parser.add_argument("--held-out-bytes", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--equal-bytes", type=int, help="trained on, in the view at equal compute")
    parser.add_argument("--own-size-only", action="store_true", help="no view at equal compute")
    parser.add_argument("--work", type=Path, help="keep what was trained here")
    parser.add_argument("--name", help="of the result; sweep-PROXY by default")
    options = parser.parse_args()
    design = SweepDesign(
        methods=tuple(options.methods),
        amounts=tuple(options.amounts),
        seeds=options.seeds,
        proxy=options.proxy,
        pool_bytes=options.pool_bytes,
        held_out_bytes=options.held_out_bytes,
        equal_compute=not options.own_size_only,
        equal_bytes=options.equal_bytes,
    )
    found: dict[str, Any] = {"machine": machine("leadsman", "numpy", "numba", "scikit-learn")}
    text = []
    for needle in options.needles:
        for name in options.cases:
            begin = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                place = (options.work or Path(folder)) / f"{needle}-{name}"
                raw, target = case(name, needle, options.corpora, place)
                report = sweep(raw, target, place / f"out-{options.proxy}", design)
            seconds = round(time.perf_counter() - begin, 1)
            found[f"{needle} {name}"] = report.to_dict() | {"seconds": seconds}
            text.append(
                f"## {needle}, {name}\n\nPool {report.facts['pool_bytes'] / 1e6:.1f} MB, held out "
                f"{report.facts['held_out_bytes'] / 1e6:.2f} MB; {seconds:.0f} s.\n\n"
                f"{table(report)}\n" + "\n".join(f"- {line}" for line in report.findings) + "\n"
            )
            print(text[-1], flush=True)
    stem = options.out / (options.name or f"sweep-{options.proxy}")
    options.out.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    head = "Bits per byte of held-out target, mean ± SD over seeds; ✗ worse than a smaller amount."
    info = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
    stem.with_suffix(".md").write_text(f"# Sweeps\n\n{head}\n\n{info}\n\n" + "\n".join(text))


if __name__ == "__main__":
    main()
