"""Removes copies: documents with the same normalised text, and near copies found by MinHash.

1. Sketch every shard: the MinHash signature of each document.
2. Documents that share a band of the signature are united into clusters. Only these are read
   again: for their shingles, and, where whole signatures are equal, for 128 bits of hash of the
   normalised text (equal texts have equal signatures).
3. Exact copies: equal hashes; the first document stays.
4. Near copies: in each cluster, in order, a document goes only if its true Jaccard similarity to a
   document that stays is at least ``threshold``. So precision at that similarity is 1 by
   construction; clusters taken whole, as other tools do, would also remove the rest.
5. Write what stays as a corpus, and ``rejects/`` with reason, kept document and similarity.

The order of the corpora, shards and documents decides which copy stays; engine and threads
have no influence. Memory: 64 bytes a document, one range of hashes, and the shingles of one batch
of clusters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.dedup.clusters import cluster_roots, near_copies, spill
from leadsman.corpus.dedup.key_ranges import Hashes, Rows, by_key_range, sorted_keys
from leadsman.corpus.dedup.removal import Removal, RemovalReport
from leadsman.corpus.kernels import minhash
from leadsman.corpus.kernels.text import normalised_hashes, texts
from leadsman.corpus.kernels.unicode import tables
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, split, write_subset
from leadsman.corpus.shards.writer import SHARD_BYTES
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError

Method = Literal["minhash", "exact"]
MEMORY_PER_DOCUMENT = 64
"""Bytes held for each document: size, cluster, decision, similarity and reason."""
EXACT, NEAR = "exact copy", "near copy"


@dataclass(frozen=True, kw_only=True)
class DedupReport(RemovalReport):
    """What was removed as a copy, and how surely.

    Attributes:
        threshold: least true Jaccard similarity of a near copy.
        precision: share of the removals whose true similarity to the document kept is at least
            that; each was checked.
        lowest_jaccard: of all removals.
        proposed: documents that would have gone without the check, as whole clusters.
    """

    threshold: float
    precision: float
    lowest_jaccard: float
    proposed: int


@dataclass(frozen=True, kw_only=True)
class DedupSettings:
    """What the result of a deduplication depends on, beside the documents.

    Attributes:
        method: ``exact`` copies only, or near copies too (``minhash``).
        threshold: least true Jaccard similarity of a near copy, in (0, 1].
        n: tokens in a shingle.
        bands, rows: of the signature; a pair of similarity J is compared with probability
            1 - (1 - J^rows)^bands.
        max_checks: most documents of its cluster one is compared with, nearest first.
        seed: of the signature's permutations.
    """

    method: Method = "minhash"
    threshold: float = 0.7
    n: int = 5
    bands: int = 20
    rows: int = 6
    max_checks: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("minhash", "exact"):
            raise InputError(
                f"must be minhash or exact, not {self.method!r} (paragraph, line and semantic: "
                f"leadsman.corpus.dedup.paragraphs and .semantic)",
                column="method",
            )
        if not 0 < self.threshold <= 1:
            raise InputError(f"must be in (0, 1], not {self.threshold}", column="threshold")
        for name in ("n", "bands", "rows", "max_checks"):
            if getattr(self, name) < 1:
                raise InputError(f"must be at least 1, not {getattr(self, name)}", column=name)


def deduplicate(
    corpora: Corpus | Sequence[Corpus],
    out: str | Path,
    *,
    method: Method = "minhash",
    threshold: float = 0.7,
    n: int = 5,
    bands: int = 20,
    rows: int = 6,
    max_checks: int = 64,
    max_source_loss: float = 0.5,
    stop_source_loss: float | None = None,
    seed: int = 0,
    engine: Engine | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> DedupReport:
    """Write the documents of ``corpora`` without copies as the corpus ``out``.

    Args:
        corpora: one corpus or several, the most wanted first: of two copies the first stays.
        out: directory or URL of the result.
        method, threshold, n, bands, rows, max_checks, seed: see :class:`DedupSettings`.
        max_source_loss, stop_source_loss: share of a source's bytes beyond which its loss gives a
            warning, and from which on the job stops (1: where nothing stays); by default never.
        engine: where the work is done; threads of this process by default.
        shard_bytes: text in an output shard.

    Raises:
        InputError: a source loses too much, ``out`` holds other work, a setting cannot
            be, or a file is at fault.
    """
    settings = DedupSettings(
        method=method, threshold=threshold, n=n, bands=bands, rows=rows,
        max_checks=max_checks, seed=seed,
    )  # fmt: skip
    engine = engine or ThreadEngine()
    joined = Corpus.join(corpora)
    described = vars(settings) | {"shard_bytes": shard_bytes}
    job = Job(out, "dedup", described, [joined])
    if job.finished:
        return DedupReport.from_dict(json.loads(job.directory.read("report.json")))
    sketch = partial(_sketch, corpus=joined, job=job, settings=settings)
    todo = [i for i in range(len(joined.shards)) if not job.has(f"sketch/{i:05d}.bytes.npy")]
    tables()  # threads would each make them
    for _ in engine.map(sketch, todo):
        pass
    found = _find(joined, job, settings, engine)
    text_bytes = job.gather("sketch", "bytes", len(joined.shards))
    removal = Removal(
        corpus=joined,
        removed=found.kept_of >= 0,
        text_bytes=text_bytes,
        # References, not copies of the words: 8 bytes a document.
        reasons=np.array([NEAR, EXACT], object)[found.exact.astype(np.int8)],
        kept_of=found.kept_of,
        details={"jaccard": found.jaccard},
    )
    warnings = removal.check(max_source_loss, stop_source_loss)
    removal.write_rejects(job)
    corpus = write_subset(
        joined, ~removal.removed, text_bytes, job, engine=engine, shard_bytes=shard_bytes
    )
    gone = found.jaccard[removal.removed]
    report = DedupReport(
        **removal.summary(corpus, warnings, examples_by=found.jaccard),
        threshold=threshold,
        precision=float((gone >= threshold).mean()) if len(gone) else 1.0,
        lowest_jaccard=float(gone.min()) if len(gone) else 1.0,
        proposed=found.proposed,
    )
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report


@dataclass(frozen=True)
class _Copies:
    """What is a copy of what; arrays have one entry a document.

    Attributes:
        kept_of: number of the kept document it is a copy of, or -1.
        exact: whether it is an exact copy of that.
        jaccard: their true similarity.
        proposed: documents that would go if clusters were taken whole.
    """

    kept_of: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]
    jaccard: npt.NDArray[np.float32]
    proposed: int


def _find(corpus: Corpus, job: Job, settings: DedupSettings, engine: Engine) -> _Copies:
    """Exact copies, then near copies among what is left."""
    parts = len(corpus.shards)
    if settings.method == "exact":
        keys, rows = (job.stored("sketch", name, parts) for name in ("exact", "order"))
        kept_of = _exact_copies(list(zip(keys, rows)))
        exact = kept_of >= 0
        return _Copies(kept_of, exact, exact.astype(np.float32), int(exact.sum()))
    roots = cluster_roots(job, settings.bands, corpus.documents, parts)
    clustered = np.bincount(roots, minlength=len(roots))[roots] > 1
    proposed = int(clustered.sum()) - len(np.unique(roots[clustered]))
    same = _same_signature(job, parts)
    spill(corpus, clustered, same, job, n=settings.n, engine=engine)
    kept_of = _exact_among(corpus, same, job)
    exact = kept_of >= 0
    near, near_jaccard = near_copies(
        corpus, roots, clustered, ~exact, job, threshold=settings.threshold,
        max_checks=settings.max_checks,
    )  # fmt: skip
    kept_of = np.where(exact, kept_of, near)
    jaccard = np.where(exact, np.float32(1), near_jaccard)
    # An exact copy of a document that went is a near copy of the one that stayed.
    orphans = np.flatnonzero(exact)[kept_of[kept_of[exact]] >= 0]
    exact[orphans] = False
    jaccard[orphans] = jaccard[kept_of[orphans]]
    kept_of[orphans] = kept_of[kept_of[orphans]]
    return _Copies(kept_of, exact, jaccard, proposed)


def _sketch(index: int, *, corpus: Corpus, job: Job, settings: DedupSettings) -> None:
    """Keep of one shard: sizes, and exact hashes or signatures and their band hashes."""
    shard = corpus.shards[index]
    a, b = minhash.permutations(settings.bands * settings.rows, seed=settings.seed)
    near = settings.method == "minhash"
    sizes = np.empty(shard.documents, np.int64)
    exact = np.empty((0 if near else shard.documents, 2), np.uint64)
    signed = np.empty((shard.documents if near else 0, len(a)), np.uint32)
    start = 0
    for batch in corpus.shard_batches(shard, ["text"]):
        column, here = texts(batch), slice(start, start + batch.num_rows)
        sizes[here] = column.lengths
        if near:
            minhash.sign(column, n=settings.n, a=a, b=b, out=signed[here])
        else:
            exact[here] = normalised_hashes(column)
        start += batch.num_rows
    if near:
        _save_bands(signed, settings, job, f"sketch/{index:05d}")
    else:
        keys, order = sorted_keys(exact)
        job.save(f"sketch/{index:05d}.exact.npy", keys)
        job.save(f"sketch/{index:05d}.order.npy", order)
    job.save(f"sketch/{index:05d}.bytes.npy", sizes)


def _save_bands(
    signed: npt.NDArray[np.uint32], settings: DedupSettings, job: Job, name: str
) -> None:
    """Keep signatures, the hashes of their bands in order, and last those of the whole."""
    keys = np.empty((settings.bands + 1, len(signed)), np.uint64)
    rows = np.empty((settings.bands + 1, len(signed)), np.uint32)
    for band in range(settings.bands):
        minhash.band_hashes(signed, band, settings.rows, keys[band])
    minhash.band_hashes(signed, 0, signed.shape[1], keys[-1])
    for band in range(settings.bands + 1):
        keys[band], rows[band] = sorted_keys(keys[band])
    job.save(f"{name}.signatures.npy", signed)
    job.save(f"{name}.bands.npy", keys)
    job.save(f"{name}.rows.npy", rows)


def _same_signature(job: Job, parts: int) -> npt.NDArray[np.bool_]:
    """Whether another document has the same signature, shape (documents,)."""
    keys, rows = (job.stored("sketch", name, parts) for name in ("bands", "rows"))
    stored = [(one[-1], other[-1]) for one, other in zip(keys, rows)]
    same = np.zeros(sum(len(order) for _, order in stored), np.bool_)
    for numbers, hashes in by_key_range(stored):
        order = np.argsort(hashes)
        equal = hashes[order[1:]] == hashes[order[:-1]]
        same[numbers[order[1:][equal]]] = True
        same[numbers[order[:-1][equal]]] = True
    return same


def _exact_among(corpus: Corpus, same: npt.NDArray[np.bool_], job: Job) -> npt.NDArray[np.int64]:
    """As :func:`_exact_copies`, of documents of which only those in ``same`` were hashed."""
    stored, members = [], np.flatnonzero(same)
    for part, mask in enumerate(split(corpus, same)):
        if mask.any():
            stored.append(sorted_keys(job.load(f"sets/{part:05d}.exact.npy")))
    kept_of = np.full(len(same), -1, np.int64)
    if stored:
        among = _exact_copies(stored)
        kept_of[members[among >= 0]] = members[among[among >= 0]]
    return kept_of


def _exact_copies(stored: Sequence[tuple[Hashes, Rows]]) -> npt.NDArray[np.int64]:
    """Number of the first document with the same hash, -1 for a first one, shape (documents,).

    Args:
        stored: 128 bits of hash of each document, shape (n, 2), and their rows, of each shard.
    """
    kept_of = np.full(sum(len(rows) for _, rows in stored), -1, np.int64)
    for numbers, hashes in by_key_range(stored):
        order = np.lexsort((numbers, hashes[:, 1], hashes[:, 0]))
        ordered, in_order = hashes[order], numbers[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        # Each run of equal hashes begins with its first document.
        first = in_order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
        kept_of[in_order[~fresh]] = first[~fresh]
    return kept_of
