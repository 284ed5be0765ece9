"""Removes documents that hold text of a target or an evaluation set, with the span that matches.

Overlap is counted in n-grams of tokens (:mod:`leadsman.corpus.kernels.overlap`). A document goes if

    exact copy       its normalised text is that of a target item
    near copy        at least ``overlap`` of its n-grams are in the target
    holds an item    it has at least ``overlap`` of the n-grams of one item
    shared span      ``span`` or more tokens in a row are in the target

Items shorter than n tokens have no n-gram: they are found only as exact copies, and counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.dedup.removal import Removal, RemovalReport
from leadsman.corpus.kernels.ngram_index import NgramIndex
from leadsman.corpus.kernels.overlap import Overlap, search
from leadsman.corpus.kernels.text import TextColumn, normalised_hashes, texts, token_counts
from leadsman.corpus.readers.rejects import EXCERPT
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.corpus.shards.writer import SHARD_BYTES
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError

MEMORY_PER_DOCUMENT = 320
"""Bytes held for each document: what it shares, and room for the span."""
REASONS = ("", "exact copy", "near copy", "holds an item", "shared span")


@dataclass(frozen=True, kw_only=True)
class DecontaminationReport(RemovalReport):
    """What was removed because the target has it.

    Attributes:
        n: tokens in an n-gram.
        items: documents in the target.
        short_items: of them, those with fewer than n tokens: looked for as whole documents only.
    """

    n: int
    items: int
    short_items: int


@dataclass(frozen=True)
class _Rules:
    n: int
    span: int
    overlap: float


def decontaminate(
    corpora: Corpus | Sequence[Corpus],
    against: Corpus | Sequence[Corpus],
    out: str | Path,
    *,
    n: int = 8,
    span: int = 30,
    overlap: float = 0.5,
    max_source_loss: float = 0.5,
    stop_source_loss: float | None = None,
    engine: Engine | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> DecontaminationReport:
    """Write the documents of ``corpora`` that share little with ``against`` as the corpus ``out``.

    Args:
        corpora: one corpus or several.
        against: the target or evaluation sets; one document an item. Their index takes 26 to 52
            bytes a token; workers of one machine share it.
        out: directory or URL of the result.
        n: tokens in an n-gram.
        span: tokens in a row that must not be shared; at least n.
        overlap: share of a document's or an item's n-grams that must not be shared, in (0, 1].
        max_source_loss, stop_source_loss: share of a source's bytes beyond which its loss gives a
            warning, and from which on the job stops (1: where nothing stays); by default never.
        engine: where the work is done; threads of this process by default.
        shard_bytes: text in an output shard.

    Raises:
        InputError: a source loses too much, ``out`` holds other work, a setting cannot
            be, or a file is at fault.
    """
    if n < 1:
        raise InputError(f"must be at least 1, not {n}", column="n")
    if span < n:
        raise InputError(f"must be at least n ({n}), not {span}", column="span")
    if not 0 < overlap <= 1:
        raise InputError(f"must be in (0, 1], not {overlap}", column="overlap")
    engine = engine or ThreadEngine()
    joined, items = Corpus.join(corpora), Corpus.join(against)
    rules = _Rules(n, span, overlap)
    settings = vars(rules) | {"shard_bytes": shard_bytes}
    job = Job(out, "decontaminate", settings, [joined, items])
    if job.finished:
        return DecontaminationReport.from_dict(json.loads(job.directory.read("report.json")))
    if not NgramIndex.saved(job):
        _build_index(items, job, n)
    look = partial(_search, corpus=joined, job=job, rules=rules)
    parts = range(len(joined.shards))
    todo = [part for part in parts if not job.has(f"overlap/{part:05d}.found.npy")]
    for _ in engine.map(look, todo):
        pass
    found = job.gather("overlap", "found", len(parts))
    removal = _removal(joined, items, found)
    warnings = removal.check(max_source_loss, stop_source_loss)
    removal.write_rejects(job)
    corpus = write_subset(
        joined, ~removal.removed, removal.text_bytes, job, engine=engine, shard_bytes=shard_bytes
    )
    report = DecontaminationReport(
        **removal.summary(corpus, warnings, examples_by=found["longest"]),
        n=n,
        items=items.documents,
        short_items=NgramIndex.load(job).short,
    )
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report


_FOUND = np.dtype(
    [
        ("reason", np.int8),
        ("text_bytes", np.int64),
        ("item", np.int64),
        ("longest", np.int64),
        ("share_of_document", np.float32),
        ("share_of_item", np.float32),
        ("span", f"S{EXCERPT}"),
    ]
)


def _build_index(against: Corpus, job: Job, n: int) -> None:
    """Keep the n-grams of all items, and each item's number by the hash of its normalised text."""
    tokens = sum(int(token_counts(texts(batch)).sum()) for batch in against.batches(["text"]))
    index = NgramIndex(n, against.documents, tokens)
    hashes = []
    for batch in against.batches(["text"]):
        hashes.append(normalised_hashes(texts(batch)))
        index.add(texts(batch))
    keys = np.concatenate(hashes)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    job.save("index/copies.npy", np.column_stack([keys[order], order.astype(np.uint64)]))
    index.save(job)


def _search(part: int, *, corpus: Corpus, job: Job, rules: _Rules) -> None:
    """Keep what each document of one shard shares with the target."""
    index, copies = NgramIndex.load(job), job.load("index/copies.npy")
    pieces = [
        _judge(batch, index, copies, rules)
        for batch in corpus.shard_batches(corpus.shards[part], ["text"])
    ]
    job.save(f"overlap/{part:05d}.found.npy", np.concatenate(pieces))


def _copy_of(
    batch: pa.RecordBatch, overlap: Overlap, copies: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Number of the first item with the same normalised text, or -1, shape (documents,)."""
    # A copy has all its n-grams in the index, or too few tokens for any; the rest need no hash.
    rows = np.flatnonzero((overlap.share_of_document == 1.0) | (overlap.ngrams == 0))
    keys = normalised_hashes(TextColumn.of(batch.column("text").take(pa.array(rows))))
    places = np.minimum(np.searchsorted(copies[:, 0], keys[:, 0]), len(copies) - 1)
    same = (copies[places, :2] == keys).all(axis=1)
    copy_of = np.full(batch.num_rows, -1, np.int64)
    copy_of[rows[same]] = copies[places[same], 2].astype(np.int64)
    return copy_of


def _judge(
    batch: pa.RecordBatch, index: NgramIndex, copies: npt.NDArray[np.uint64], rules: _Rules
) -> npt.NDArray[np.void]:
    column = texts(batch)
    overlap = search(column, index)
    copy_of = _copy_of(batch, overlap, copies)
    found = np.zeros(len(column), _FOUND)
    found["text_bytes"] = column.lengths
    found["item"] = np.where(copy_of >= 0, copy_of, overlap.item)
    found["longest"] = overlap.longest
    found["share_of_document"] = overlap.share_of_document
    found["share_of_item"] = overlap.share_of_item
    found["reason"] = np.select(
        [
            copy_of >= 0,
            overlap.share_of_document >= rules.overlap,
            overlap.share_of_item >= rules.overlap,
            overlap.longest >= rules.span,
        ],
        [1, 2, 3, 4],
        0,
    )
    for row in np.flatnonzero(found["reason"]).tolist():
        begin = column.offsets[row] + overlap.begin[row]
        end = min(column.offsets[row] + overlap.end[row], begin + EXCERPT)
        found["span"][row] = column.data[begin:end].tobytes()
    return found


def _removal(corpus: Corpus, against: Corpus, found: npt.NDArray[np.void]) -> Removal:
    removed = found["reason"] > 0
    items = against.take(found["item"][removed & (found["item"] >= 0)], ["id"])
    target_ids = np.full(len(found), None, object)
    spans = np.full(len(found), "", object)
    for row in np.flatnonzero(removed).tolist():
        item = int(found["item"][row])
        target_ids[row] = items[item]["id"] if item >= 0 else None
        # A span cut at a fixed number of bytes may end inside a character.
        spans[row] = bytes(found["span"][row]).decode(errors="ignore")
    return Removal(
        corpus=corpus,
        removed=removed,
        text_bytes=found["text_bytes"].copy(),
        reasons=np.array(REASONS)[found["reason"]],
        kept_of=np.full(len(found), -1, np.int64),
        details={
            "target_id": target_ids,
            "span": spans,
            "span_tokens": found["longest"],
            "share_of_document": found["share_of_document"],
            "share_of_item": found["share_of_item"],
        },
    )
