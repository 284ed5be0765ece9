"""Removes paragraphs (or lines) that stand elsewhere already: exact, inside of documents.

1. Cut each document into pieces and hash each piece's normalised text (128 bits).
2. Of equal pieces the first, in the order of corpora and documents, stays. Short pieces
   (``}``, ``See also``, headings) are let be.
3. Write every document without its repeated pieces, in their place nothing. A document of which
   nothing but repeated and empty pieces is left goes, as a reject.

    OUT/rejects/spans-00000.parquet     id, source, start, end (bytes in the original text),
                                        kept_id, kept_start (where the same piece stays)
        rejects/removed-00000.parquet   documents of which nothing is left

With both, and the corpora it came from, every original text can be restored. Memory: 40 bytes a
piece of one part of the hash range; the range is cut so that a part holds about eight million.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from leadsman.corpus.corpus import Corpus, Extent, Shard
from leadsman.corpus.dedup.removal import EXAMPLES, RemovalReport
from leadsman.corpus.dedup.segments import Unit, segments
from leadsman.corpus.dedup.source_loss import check_sources
from leadsman.corpus.kernels.text import normalised_hashes, texts
from leadsman.corpus.readers.rejects import EXCERPT
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish
from leadsman.corpus.shards.writer import ShardWriter
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError

NOTHING_LEFT = "nothing left"
MEMORY_PER_DOCUMENT = 400
"""Bytes held for a document of ten pieces."""
_PART_PIECES = 1 << 23
_PIECE = np.dtype(
    [
        ("one", np.uint64),
        ("two", np.uint64),
        ("document", np.int64),
        ("start", np.int64),
        ("end", np.int64),
    ]
)
_COPY = np.dtype([(name, np.int64) for name in ("document", "start", "end", "kept", "kept_start")])


@dataclass(frozen=True, kw_only=True)
class ParagraphReport(RemovalReport):
    """What was cut out of documents.

    Attributes:
        unit: ``paragraph`` or ``line``.
        spans: pieces cut out.
        span_bytes: their bytes.
        documents_cut: documents that lost a piece and stay.
    """

    unit: str
    spans: int
    span_bytes: int
    documents_cut: int


def deduplicate_paragraphs(
    corpora: Corpus | Sequence[Corpus],
    out: str | Path,
    *,
    unit: Unit = "paragraph",
    min_bytes: int = 80,
    max_source_loss: float = 0.5,
    stop_source_loss: float | None = None,
    engine: Engine | None = None,
) -> ParagraphReport:
    """Write the documents of ``corpora`` without pieces that stand in an earlier place.

    Args:
        corpora: one corpus or several, the most wanted first.
        out: directory or URL of the result.
        unit: ``paragraph`` (blank lines between) or ``line``.
        min_bytes: content, white space left out, below which a piece is let be.
        max_source_loss, stop_source_loss: share of a source's bytes beyond which its loss gives a
            warning, and from which on the job stops (1: where nothing stays); by default never.
        engine: where the work is done; threads of this process by default.

    Raises:
        InputError: a source loses too much, ``out`` holds other work, or a file is at fault.
    """
    if unit not in ("paragraph", "line"):
        raise InputError(f"must be paragraph or line, not {unit!r}", column="unit")
    if min_bytes < 1:
        raise InputError(f"must be at least 1, not {min_bytes}", column="min_bytes")
    engine = engine or ThreadEngine()
    joined = Corpus.join(corpora)
    settings = {"unit": unit, "min_bytes": min_bytes}
    job = Job(out, "paragraphs", settings, [joined])
    if job.finished:
        return ParagraphReport.from_dict(json.loads(job.directory.read("report.json")))
    parts = range(len(joined.shards))
    sketch = partial(_sketch, corpus=joined, job=job, unit=unit, min_bytes=min_bytes)
    for _ in engine.map(sketch, [part for part in parts if not job.has(_pieces(part))]):
        pass
    if not job.has("copies.npy"):
        job.save("copies.npy", _copies(job, len(parts)))
    ids = _ids(joined, job)
    write = partial(_write, corpus=joined, job=job, ids=ids)
    for _ in engine.map(write, [part for part in parts if not job.has(_marker(part))]):
        pass
    report, corpus = _report(joined, job, unit, max_source_loss, stop_source_loss)
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report


def _pieces(part: int) -> str:
    return f"pieces/{part:05d}.npy"


def _marker(part: int) -> str:
    return f"shards/{part:05d}.json"


def _first_documents(corpus: Corpus) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *(shard.documents for shard in corpus.shards)], dtype=np.int64)


def _sketch(part: int, *, corpus: Corpus, job: Job, unit: Unit, min_bytes: int) -> None:
    """Keep hash and place of every piece of one shard that may be removed."""
    number = int(_first_documents(corpus)[part])
    found = []
    for batch in corpus.shard_batches(corpus.shards[part], ["text"]):
        column = texts(batch)
        pieces, owners, contents = segments(column, unit)
        counted = contents >= min_bytes
        rows = np.empty(int(counted.sum()), _PIECE)
        hashes = normalised_hashes(pieces)[counted]
        rows["one"], rows["two"] = hashes[:, 0], hashes[:, 1]
        rows["document"] = owners[counted] + number
        begins = column.offsets[owners[counted]]
        rows["start"] = pieces.offsets[:-1][counted] - begins
        rows["end"] = pieces.offsets[1:][counted] - begins
        found.append(rows)
        number += batch.num_rows
    job.save(_pieces(part), np.concatenate(found) if found else np.empty(0, _PIECE))


def _copies(job: Job, parts: int) -> npt.NDArray[Any]:
    """Every repeated piece and where it stays, in the order of documents, dtype ``_COPY``."""
    stored = [job.load(_pieces(part)) for part in range(parts)]
    ranges = max(1, -(-sum(len(rows) for rows in stored) // _PART_PIECES))
    found = []
    for index in range(ranges):
        # The high half of the hash, as a share of its range.
        rows = np.concatenate(
            [part[(part["one"] >> 32) * np.uint64(ranges) >> 32 == index] for part in stored]
        )
        ordered = rows[np.lexsort((rows["start"], rows["document"], rows["two"], rows["one"]))]
        fresh = np.ones(len(ordered), np.bool_)
        for name in ("one", "two"):
            fresh[1:] &= ordered[name][1:] == ordered[name][:-1]
        fresh[1:] = ~fresh[1:]
        first = np.maximum.accumulate(np.where(fresh, np.arange(len(ordered)), 0))
        copies = np.empty(int((~fresh).sum()), _COPY)
        for name in ("document", "start", "end"):
            copies[name] = ordered[name][~fresh]
        kept = ordered[first[~fresh]]
        copies["kept"], copies["kept_start"] = kept["document"], kept["start"]
        found.append(copies)
    everything = np.concatenate(found)
    return everything[np.lexsort((everything["start"], everything["document"]))]


def _ids(corpus: Corpus, job: Job) -> dict[int, str]:
    """Ids of the documents that keep a repeated piece, by number."""
    keeping = np.unique(job.load("copies.npy")["kept"])
    return {number: row["id"] for number, row in corpus.take(keeping, ["id"]).items()}


def _write(part: int, *, corpus: Corpus, job: Job, ids: dict[int, str]) -> None:
    """Write one shard without its repeated pieces, and what was cut out."""
    firsts = _first_documents(corpus)
    copies = job.load("copies.npy")
    number = int(firsts[part])
    writer = ShardWriter(job.directory, shard_bytes=1 << 62, first=part)
    spans: list[dict[str, Any]] = []
    gone: list[dict[str, Any]] = []
    for batch in corpus.shard_batches(corpus.shards[part], list(corpus.schema)):
        low, high = np.searchsorted(copies["document"], [number, number + batch.num_rows])
        left, cut, empty = _cut(batch, np.asarray(copies[low:high]), number, ids)
        number += batch.num_rows
        spans += cut
        gone += empty
        if left.num_rows:
            writer.add(left)
    written = writer.finish()
    for name, rows in (("spans", spans), ("removed", gone)):
        if rows:
            job.directory.write_frame(f"rejects/{name}-{part:05d}.parquet", pl.DataFrame(rows))
    done = {
        "shard": written[0].to_dict() if written else None,
        "spans": len(spans),
        "span_bytes": sum(span["end"] - span["start"] for span in spans),
        "cut": len({span["id"] for span in spans}) - len(gone),
        "gone": len(gone),
        "gone_bytes": sum(row["text_bytes"] for row in gone),
        "examples": spans[:EXAMPLES],
    }
    job.work.write_json(_marker(part), done)


def _cut(
    batch: pa.RecordBatch, copies: npt.NDArray[Any], number: int, ids: dict[int, str]
) -> tuple[pa.RecordBatch, list[dict[str, Any]], list[dict[str, Any]]]:
    """A batch without repeated pieces, the pieces, and the documents of which nothing is left."""
    if not len(copies):
        return batch, [], []
    raws = [value.as_buffer() for value in batch.column("text").cast(pa.large_binary())]
    names, sources = batch.column("id").to_pylist(), batch.column("source").to_pylist()
    spans: list[dict[str, Any]] = []
    gone: list[dict[str, Any]] = []
    keep = np.ones(batch.num_rows, np.bool_)
    new: dict[int, bytes] = {}
    limits = np.flatnonzero(np.diff(copies["document"], prepend=-1, append=-1))
    for low, high in pairwise(limits.tolist()):
        row = int(copies["document"][low]) - number
        text = bytes(raws[row])
        left, at = [], 0
        for _, start, end, kept, kept_start in copies[low:high].tolist():
            left.append(text[at:start])
            at = end
            spans.append(
                {
                    "id": names[row],
                    "source": sources[row],
                    "start": start,
                    "end": end,
                    "kept_id": ids[kept],
                    "kept_start": kept_start,
                    "excerpt": text[start:end][:EXCERPT].decode(errors="replace"),
                }
            )
        new[row] = b"".join([*left, text[at:]])
        if not new[row].strip():
            keep[row] = False
            gone.append(
                {
                    "id": names[row],
                    "source": sources[row],
                    "reason": NOTHING_LEFT,
                    "text_bytes": len(text),
                    "kept_id": spans[-1]["kept_id"],
                }
            )
    cut = pa.array([new.get(i, raw) for i, raw in enumerate(map(bytes, raws))], pa.large_binary())
    place = batch.schema.get_field_index("text")
    column = cut.view(pa.large_string())
    return batch.set_column(place, "text", column).filter(pa.array(keep)), spans, gone


def _report(
    corpus: Corpus, job: Job, unit: Unit, max_source_loss: float, stop_source_loss: float | None
) -> tuple[ParagraphReport, Corpus]:
    done = [json.loads(job.work.read(_marker(part))) for part in range(len(corpus.shards))]
    shards = tuple(Shard.from_dict(part["shard"]) for part in done if part["shard"])
    kept = Corpus(job.directory.location, corpus.schema, shards, job.fingerprint)
    if not shards:
        raise InputError("no document is left; loosen the settings", file=corpus.location)
    lost = {
        name: offered - kept.sources.get(name, Extent()) for name, offered in corpus.sources.items()
    }
    warnings = check_sources(
        corpus.sources, lost, warn=max_source_loss, stop=stop_source_loss,
        location=corpus.location,
    )  # fmt: skip
    gone = Extent(sum(d["gone"] for d in done), sum(d["gone_bytes"] for d in done))
    examples = [example for part in done for example in part["examples"]]
    report = ParagraphReport(
        location=job.directory.location,
        offered=corpus.sources,
        kept=kept.sources,
        removed={NOTHING_LEFT: gone} if gone.documents else {},
        warnings=warnings,
        examples=examples[:EXAMPLES],
        unit=unit,
        spans=sum(d["spans"] for d in done),
        span_bytes=sum(d["span_bytes"] for d in done),
        documents_cut=sum(d["cut"] for d in done),
    )
    return report, kept
