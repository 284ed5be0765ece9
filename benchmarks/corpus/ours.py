"""Our side of the comparison; one process a job, as for the peers.

python benchmarks/corpus/ours.py dsir RAW.jsonl TARGET.jsonl WORK DOCUMENTS
python benchmarks/corpus/ours.py dedup RAW.jsonl WORK
python benchmarks/corpus/ours.py decontaminate RAW.jsonl ITEMS.jsonl WORK
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from leadsman.corpus import Corpus, convert, decontaminate, deduplicate
from leadsman.select import Policy, select
from leadsman.select.dsir import DSIR
from leadsman.select.scores import read_scores


def dsir(raw: str, target: str, work: str, documents: str) -> dict[str, float]:
    """Read JSON lines, fit, weigh, resample, write."""
    import numpy as np

    place = Path(work)
    begin = time.perf_counter()
    corpus = convert(raw, place / "raw").corpus
    wanted = convert(target, place / "target").corpus
    converted = time.perf_counter()
    report = select(
        corpus,
        wanted,
        place / "out",
        selector=DSIR(),
        policy=Policy(rule="resample", documents=int(documents)),
    )
    seconds = time.perf_counter() - begin
    np.save(place / "weights.npy", read_scores(corpus, report.scores_key).values)
    chosen = Corpus.open(place / "out").table(["id"])["id"].to_pylist()
    (place / "chosen.json").write_text(json.dumps(sorted(chosen)))
    return {"seconds": seconds, "read_seconds": converted - begin}


def dedup(raw: str, work: str) -> dict[str, float]:
    """Read JSON lines, remove copies, verify each, write; at the peers' parameters."""
    place = Path(work)
    begin = time.perf_counter()
    corpus = convert(raw, place / "raw").corpus
    converted = time.perf_counter()
    report = deduplicate(corpus, place / "out", n=5, bands=14, rows=8)
    return {
        "seconds": time.perf_counter() - begin,
        "read_seconds": converted - begin,
        "removed": report.documents_removed,
        "proposed": report.proposed,
        "precision": report.precision,
    }


def clean(raw: str, items: str, work: str) -> dict[str, float]:
    """Read JSON lines, remove documents that hold an item, write."""
    place = Path(work)
    begin = time.perf_counter()
    corpus = convert(raw, place / "raw").corpus
    against = convert(items, place / "items").corpus
    report = decontaminate(corpus, against, place / "out")
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "items": report.items,
        "removed": report.documents_removed,
        "megabytes_a_second": corpus.text_bytes / 1e6 / seconds,
    }


if __name__ == "__main__":
    job = {"dsir": dsir, "dedup": dedup, "decontaminate": clean}[sys.argv[1]]
    print(json.dumps(job(*sys.argv[2:])))
