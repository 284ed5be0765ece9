"""Removes copies: documents with the same normalised text, and near copies found by MinHash.

1. Sketch every shard: of each document 128 bits of hash of the normalised text, and the MinHash
   signature.
2. Exact copies: equal hashes; the first document stays.
3. Of the others, those that share a band of the signature are united into clusters. Only these are
   read again, for their shingles.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.dedup.clusters import cluster_roots, near_copies, spill
from leadsman.corpus.dedup.key_ranges import Hashes, Rows, by_key_range
from leadsman.corpus.dedup.removal import Removal, RemovalReport
from leadsman.corpus.dedup.settings import DedupSettings, Method
from leadsman.corpus.dedup.sketches import Sketches, sketch_shard
from leadsman.corpus.kernels.unicode import tables
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.corpus.shards.writer import SHARD_BYTES
from leadsman.engine import Engine, ThreadEngine

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
    sketches = Sketches(joined, job, settings)
    sketch = partial(sketch_shard, corpus=joined, job=job, settings=settings)
    tables("word")  # threads would each make them
    for _ in engine.map(sketch, sketches.missing()):
        pass
    found = _find(joined, job, settings, sketches, engine)
    text_bytes = np.concatenate(sketches.stored("bytes"))
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
    with ThreadPoolExecutor(1) as pool:
        records = pool.submit(removal.write_rejects, job)
        corpus = write_subset(
            joined, ~removal.removed, text_bytes, job, engine=engine, shard_bytes=shard_bytes
        )
        records.result()
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


def _find(
    corpus: Corpus, job: Job, settings: DedupSettings, sketches: Sketches, engine: Engine
) -> _Copies:
    """Exact copies, then near copies among what is left."""
    kept_of = _exact_copies(list(zip(sketches.stored("exact"), sketches.stored("order"))))
    exact = kept_of >= 0
    if settings.method == "exact":
        return _Copies(kept_of, exact, exact.astype(np.float32), int(exact.sum()))
    roots = cluster_roots(sketches, settings.bands, corpus.documents)
    clustered = np.bincount(roots, minlength=len(roots))[roots] > 1
    proposed = int(clustered.sum()) - len(np.unique(roots[clustered]))
    doubtful = ~exact & (np.bincount(roots[~exact], minlength=len(roots))[roots] > 1)
    spill(corpus, doubtful, job, n=settings.n, engine=engine)
    near, near_jaccard = near_copies(
        corpus, roots, doubtful, job, sketches, threshold=settings.threshold,
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
