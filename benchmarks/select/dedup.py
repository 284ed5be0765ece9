"""What deduplication of paragraphs, lines and meaning takes from real text, and how fast.

    python -m benchmarks.select.dedup --corpora DIR --out benchmarks/select/results

DIR holds one Parquet file (text, source) a corpus. Prints, for a person to judge, the removals
that are most open to doubt.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from benchmarks.machine import machine

from leadsman.corpus import Corpus, RemovalReport, write_corpus
from leadsman.corpus.dedup.paragraphs import ParagraphReport, deduplicate_paragraphs
from leadsman.corpus.dedup.semantic import SemanticReport, deduplicate_semantic


def told(report: RemovalReport, seconds: float) -> dict[str, Any]:
    """The numbers of a report."""
    row: dict[str, Any] = {
        "processor_seconds": round(seconds, 2),
        "text_bytes": sum(extent.text_bytes for extent in report.offered.values()),
        "documents_removed": report.documents_removed,
        "bytes_left": sum(extent.text_bytes for extent in report.kept.values()),
    }
    if isinstance(report, ParagraphReport):
        row |= {"spans": report.spans, "documents_cut": report.documents_cut}
    if isinstance(report, SemanticReport):
        row |= {"lowest_cosine": report.lowest_cosine, "clusters": report.clusters}
    row["doubtful"] = [
        [example["excerpt"][:120], example.get("kept_excerpt", "")[:120]]
        for example in report.examples
    ]
    return row


def main() -> None:
    """Run all; write ``dedup.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine("leadsman", "numpy", "numba", "scikit-learn")}
    with tempfile.TemporaryDirectory() as folder:
        corpora: list[Corpus] = [
            write_corpus(f"{folder}/{file.stem}", pq.read_table(file).to_batches())
            for file in sorted(options.corpora.glob("*.parquet"))
        ]
        small = corpora[-1]
        deduplicate_paragraphs(small, f"{folder}/warm-p", max_source_loss=1.0)  # compiles
        deduplicate_semantic(small, f"{folder}/warm-s", max_source_loss=1.0)
        for unit in ("paragraph", "line"):
            begin = time.process_time()
            cut = deduplicate_paragraphs(
                corpora, f"{folder}/{unit}", unit=unit, max_source_loss=1.0
            )
            results[unit] = told(cut, time.process_time() - begin)
        for threshold in (0.8, 0.9, 0.95):
            begin = time.process_time()
            found = deduplicate_semantic(
                corpora, f"{folder}/{threshold}", threshold=threshold, max_source_loss=1.0
            )
            results[f"semantic {threshold}"] = told(found, time.process_time() - begin)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "dedup.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
