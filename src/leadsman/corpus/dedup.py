"""Removes copies: documents with the same normalised text, and near copies found by MinHash.

1. Sketch every shard: 128 bits of hash of the normalised text, MinHash signature.
2. Exact copies: equal hashes; the first document stays.
3. Near copies: documents that share a band of the signature are united into clusters.
4. Verify: in each cluster, in order, a document goes only if its true Jaccard similarity to a
   document that stays is at least ``threshold``. So precision at that similarity is 1 by
   construction; clusters taken whole, as other tools do, would also remove the rest.
5. Write what stays as a corpus, and ``rejects/`` with reason, kept document and similarity.

The order of the corpora, shards and documents decides which copy stays; engine and threads
have no influence. Memory: about 100 bytes a document, and the shingles of one batch of clusters.
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

from leadsman.corpus import minhash
from leadsman.corpus.clusters import near_copies
from leadsman.corpus.corpus import Corpus
from leadsman.corpus.job import Job
from leadsman.corpus.removal import Removal, RemovalReport
from leadsman.corpus.subset import publish, write_subset
from leadsman.corpus.text import normalised_hashes, texts
from leadsman.corpus.writer import SHARD_BYTES
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError

Method = Literal["minhash", "exact"]
MEMORY_PER_DOCUMENT = 96
"""Bytes held for each document: hashes, size, cluster, decision, and the keys of one band."""
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
                f"leadsman.corpus.paragraphs and .semantic)",
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
    seed: int = 0,
    engine: Engine | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> DedupReport:
    """Write the documents of ``corpora`` without copies as the corpus ``out``.

    Args:
        corpora: one corpus or several, the most wanted first: of two copies the first stays.
        out: directory or URL of the result.
        method, threshold, n, bands, rows, max_checks, seed: see :class:`DedupSettings`.
        max_source_loss: share of a source's bytes beyond which its loss gives a warning.
        engine: where the work is done; threads of this process by default.
        shard_bytes: text in an output shard.

    Raises:
        InputError: a source loses all its documents, ``out`` holds other work, a setting cannot
            be, or a file is at fault.
    """
    settings = DedupSettings(
        method=method, threshold=threshold, n=n, bands=bands, rows=rows,
        max_checks=max_checks, seed=seed,
    )  # fmt: skip
    engine = engine or ThreadEngine()
    joined = Corpus.join(corpora)
    described = vars(settings) | {"max_source_loss": max_source_loss, "shard_bytes": shard_bytes}
    job = Job(out, "dedup", described, [joined])
    if job.finished:
        return DedupReport.from_dict(json.loads(job.directory.read("report.json")))
    sketch = partial(_sketch, corpus=joined, job=job, settings=settings)
    todo = [i for i in range(len(joined.shards)) if not job.has(f"sketch/{i:05d}.bytes.npy")]
    for _ in engine.map(sketch, todo):
        pass
    text_bytes = job.gather("sketch", "bytes", len(joined.shards))
    kept_of = _exact_copies(job.gather("sketch", "exact", len(joined.shards)))
    exact = kept_of >= 0
    jaccard = exact.astype(np.float32)
    proposed = int(exact.sum())
    if settings.method == "minhash":
        near, near_jaccard, clustered = near_copies(
            joined, ~exact, job, n=n, bands=bands, threshold=threshold, max_checks=max_checks,
            engine=engine,
        )  # fmt: skip
        kept_of = np.where(exact, kept_of, near)
        jaccard = np.where(exact, jaccard, near_jaccard)
        proposed += clustered
        # An exact copy of a document that went is a near copy of the one that stayed.
        orphans = np.flatnonzero(exact)[kept_of[kept_of[exact]] >= 0]
        exact[orphans] = False
        jaccard[orphans] = jaccard[kept_of[orphans]]
        kept_of[orphans] = kept_of[kept_of[orphans]]
    removal = Removal(
        corpus=joined,
        removed=kept_of >= 0,
        text_bytes=text_bytes,
        reasons=np.where(exact, EXACT, NEAR),
        kept_of=kept_of,
        details={"jaccard": jaccard},
    )
    warnings = removal.check(max_source_loss)
    removal.write_rejects(job)
    corpus = write_subset(
        joined, kept_of < 0, text_bytes, job, engine=engine, shard_bytes=shard_bytes
    )
    gone = jaccard[kept_of >= 0]
    report = DedupReport(
        **removal.summary(corpus, warnings, examples_by=jaccard),
        threshold=threshold,
        precision=float((gone >= threshold).mean()) if len(gone) else 1.0,
        lowest_jaccard=float(gone.min()) if len(gone) else 1.0,
        proposed=proposed,
    )
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report


def _sketch(index: int, *, corpus: Corpus, job: Job, settings: DedupSettings) -> None:
    """Keep of one shard: sizes, exact hashes, signatures and their band hashes."""
    shard = corpus.shards[index]
    a, b = minhash.permutations(settings.bands * settings.rows, seed=settings.seed)
    near = settings.method == "minhash"
    sizes = np.empty(shard.documents, np.int64)
    exact = np.empty((shard.documents, 2), np.uint64)
    signed = np.empty((shard.documents if near else 0, len(a)), np.uint32)
    start = 0
    for batch in corpus.shard_batches(shard, ["text"]):
        column, here = texts(batch), slice(start, start + batch.num_rows)
        sizes[here] = column.lengths
        exact[here] = normalised_hashes(column)
        if near:
            minhash.sign(column, n=settings.n, a=a, b=b, out=signed[here])
        start += batch.num_rows
    job.save(f"sketch/{index:05d}.exact.npy", exact)
    if near:
        keys = np.empty((settings.bands, len(signed)), np.uint64)
        for band in range(settings.bands):
            minhash.band_hashes(signed, band, settings.rows, keys[band])
        job.save(f"sketch/{index:05d}.signatures.npy", signed)
        job.save(f"sketch/{index:05d}.bands.npy", keys)
    job.save(f"sketch/{index:05d}.bytes.npy", sizes)


def _exact_copies(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Number of the first document with the same hash, -1 for a first one, shape (n,)."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    ordered = hashes[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    # lexsort is stable: the first of each run of equal hashes is the first document.
    first = order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
    kept_of = np.full(len(order), -1, np.int64)
    kept_of[order[~fresh]] = first[~fresh]
    return kept_of
