"""Our side of the comparison; one process a job, as for the peers.

python -m benchmarks.corpus.ours dsir RAW.jsonl TARGET.jsonl WORK DOCUMENTS
python -m benchmarks.corpus.ours dedup RAW.jsonl WORK
python -m benchmarks.corpus.ours decontaminate RAW.jsonl ITEMS.jsonl WORK
python -m benchmarks.corpus.ours recall PLANTED.jsonl WORK BANDS ROWS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from scipy import sparse

from leadsman.corpus import Corpus, convert, decontaminate, deduplicate
from leadsman.corpus.dedup.settings import DedupSettings
from leadsman.corpus.kernels.minhash import shingle_sets
from leadsman.corpus.kernels.text import TextColumn, texts, tokens


def dsir(raw: str, target: str, work: str, documents: str) -> dict[str, float]:
    """Read JSON lines, fit, weigh, resample, write."""
    # Here, so that the other jobs do not count its memory.
    from leadsman.select import Policy, select
    from leadsman.select.methods.dsir import DSIR
    from leadsman.select.scores import read_scores

    place = Path(work)
    begin = time.perf_counter()
    corpus = convert(raw, place / "raw", source="documentation", compression="lz4").corpus
    wanted = convert(target, place / "target", compression="lz4").corpus
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
    sketch = DedupSettings(n=5, bands=14, rows=8)
    corpus = convert(
        raw, place / "raw", source="documentation", compression="lz4", sketch=sketch
    ).corpus
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
    corpus = convert(raw, place / "raw", source="documentation", compression="lz4").corpus
    against = convert(items, place / "items", compression="lz4").corpus
    converted = time.perf_counter()
    report = decontaminate(corpus, against, place / "out")
    done = time.perf_counter()
    seconds = done - begin
    gone = removed(place / "out")
    leaks = sum(
        id.startswith("leak/") for batch in corpus.batches(["id"]) for id in batch["id"].to_pylist()
    )
    return {
        "seconds": seconds,
        "leaks": leaks,
        "leaks_found": int(gone["id"].str.starts_with("leak/").sum()),
        "search_megabytes_a_second": corpus.text_bytes / 1e6 / (done - converted),
        "items": report.items,
        "removed": report.documents_removed,
        "megabytes_a_second": corpus.text_bytes / 1e6 / seconds,
    }


def recall(raw: str, work: str, bands: str, rows: str) -> dict[str, float]:
    """How many planted copies are found; some removals, compared by other code."""
    place = Path(work)
    begin = time.perf_counter()
    corpus = convert(raw, place / "raw", source="documentation", compression="lz4").corpus
    report = deduplicate(corpus, place / "out", n=5, bands=int(bands), rows=int(rows))
    seconds = time.perf_counter() - begin
    gone = removed(place / "out")
    ids_gone = set(gone["id"])
    ids = [id for batch in corpus.batches(["id"]) for id in batch["id"].to_pylist()]
    planted = [id for id in ids if id.startswith("planted/")]
    near = gone.filter(reason="near copy")
    drawn = near.sample(min(500, len(near)), seed=0)
    wanted = set(drawn["id"]) | set(drawn["kept_id"])
    wanted |= {*planted, *(original(id) for id in planted)}
    text_of = {
        row["id"]: row["text"]
        for batch in corpus.batches(["id", "text"])
        for row in batch.to_pylist()
        if row["id"] in wanted
    }
    true = [jaccard(text_of[row["id"]], text_of[row["kept_id"]]) for row in drawn.to_dicts()]
    found = sum(id in ids_gone for id in planted)
    # A copy is owed a removal if a document that stays is near it. A copy of a document that
    # itself went may be near none.
    owed = missed(report.corpus, [id for id in planted if id not in ids_gone])
    stayed = [id for id in planted if original(id) not in ids_gone]
    own = {id: jaccard(text_of[id], text_of[original(id)]) for id in planted}
    left = [id for id in planted if id not in ids_gone]
    return {
        "seconds": seconds,
        "planted": len(planted),
        "found": found,
        "recall_of_all": found / len(planted),
        "missed": owed,
        "recall": found / (found + owed),
        "attainable": (found + owed) / len(planted),
        "unlike_their_original": sum(value < 0.7 for value in own.values()),
        "left_unlike_their_original": sum(own[id] < 0.7 for id in left),
        "left_and_original_gone": sum(own[id] >= 0.7 and original(id) in ids_gone for id in left),
        "left_beside_their_original": sum(
            own[id] >= 0.7 and original(id) not in ids_gone for id in left
        ),
        "originals_kept": len(stayed),
        "recall_where_kept": sum(id in ids_gone for id in stayed) / len(stayed),
        "removed": report.documents_removed,
        "proposed": report.proposed,
        "sampled": len(true),
        "sampled_lowest": min(true),
        "sampled_precision": sum(value >= 0.7 for value in true) / len(true),
    }


def original(planted: str) -> str:
    """Id of the document that a planted one is a copy of."""
    return planted.removeprefix("planted/")


def missed(kept: Corpus, copies: list[str], threshold: float = 0.7, n: int = 5) -> int:
    """How many of these copies are that similar to another kept document; all are compared."""
    wanted = set(copies)
    rows = [
        row for b in kept.batches(["id", "text"]) for row in b.to_pylist() if row["id"] in wanted
    ]
    values, ends = shingle_sets(TextColumn.of(pa.array([row["text"] for row in rows])), n=n)
    known, columns = np.unique(values, return_inverse=True)
    ones = np.ones(len(columns), np.int32)
    of_copies = sparse.csr_array(
        (ones, columns, np.concatenate([[0], ends])), shape=(len(rows), len(known))
    )
    sizes = np.diff(ends, prepend=0)
    best = np.zeros(len(rows))
    for batch in kept.batches(["id", "text"]):
        others, stops = shingle_sets(texts(batch), n=n)
        at = np.searchsorted(known, others).clip(max=len(known) - 1)
        shared = known[at] == others
        row = np.repeat(np.arange(len(stops)), np.diff(stops, prepend=0))[shared]
        of_others = sparse.csr_array(
            (np.ones(len(row), np.int32), (row, at[shared])), shape=(len(stops), len(known))
        )
        common = (of_copies @ of_others.T).toarray()
        union = sizes[:, None] + np.diff(stops, prepend=0)[None, :] - common
        itself = np.array([[one["id"] == id for id in batch["id"].to_pylist()] for one in rows])
        similarity = np.where(itself, 0.0, common / np.maximum(union, 1))
        best = np.maximum(best, similarity.max(axis=1))
    return int((best >= threshold).sum())


def removed(out: Path) -> pl.DataFrame:
    """The reject records, also where there are none."""
    files = sorted(out.glob("rejects/removed-*.parquet"))
    columns = {"id": pl.String, "kept_id": pl.String, "reason": pl.String}
    frames = [pl.read_parquet(file, columns=list(columns)) for file in files]
    return pl.concat([pl.DataFrame(schema=columns), *frames])


def jaccard(one: str, two: str, n: int = 5) -> float:
    """Jaccard similarity of the sets of n tokens in a row, in plain Python."""
    sets = []
    for text in (one, two):
        words = [word.lower() for word in tokens(text)]
        size = min(n, len(words))
        sets.append({tuple(words[i : i + size]) for i in range(len(words) - size + 1)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


if __name__ == "__main__":
    job = {"dsir": dsir, "dedup": dedup, "decontaminate": clean, "recall": recall}[sys.argv[1]]
    print(json.dumps(job(*sys.argv[2:])))
