"""Near copies among many documents: clusters by LSH bands, each removal verified.

Shingle sets of clustered documents are spilled to disk shard by shard and read back cluster by
cluster, so memory does not grow with the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from leadsman.corpus import minhash
from leadsman.corpus.corpus import Corpus
from leadsman.corpus.job import Job
from leadsman.corpus.subset import split
from leadsman.corpus.text import texts
from leadsman.engine import Engine

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def near_copies(
    corpus: Corpus,
    unique: Mask,
    job: Job,
    *,
    n: int,
    bands: int,
    threshold: float,
    max_checks: int,
    engine: Engine,
) -> tuple[Ints, npt.NDArray[np.float32], int]:
    """Find near copies among the unique documents.

    Args:
        corpus: the documents.
        unique: those without an earlier exact copy, shape (documents,).
        job: holds ``sketch/*.signatures.npy`` and ``sketch/*.bands.npy``.
        n, bands, threshold, max_checks: see :class:`~leadsman.corpus.dedup.DedupSettings`.
        engine: where shingle sets are made.

    Returns:
        For each document the number of the kept one it is a near copy of (-1: it stays), their
        true Jaccard similarity, and how many would go if clusters were taken whole.
    """
    parts = len(corpus.shards)
    root = _roots(job, unique, bands, parts)
    members = np.flatnonzero(unique & (np.bincount(root, minlength=len(root))[root] > 1))
    kept_of = np.full(len(root), -1, np.int64)
    jaccard = np.zeros(len(root), np.float32)
    if not len(members):
        return kept_of, jaccard, 0
    clustered = np.zeros(len(root), np.bool_)
    clustered[members] = True
    masks = list(split(corpus, clustered))
    todo = [
        (part, masks[part].astype(np.bool_))
        for part in range(parts)
        if masks[part].any() and not job.has(f"sets/{part:05d}.ends.npy")
    ]
    for _ in engine.map(partial(_spill, corpus=corpus, job=job, n=n), todo):
        pass
    sets = _Sets(corpus, job, members)
    ordered = members[np.argsort(root[members], kind="stable")]
    limits = np.flatnonzero(np.diff(root[ordered], prepend=-1, append=-1))
    for low, high in pairwise(limits):
        cluster = ordered[low:high]
        values, ends = sets.of(cluster)
        begins = np.concatenate([[0], ends[:-1]])
        local, similarity = np.empty(len(cluster), np.int64), np.empty(len(cluster), np.float32)
        minhash.keep_first(
            values, begins, ends, sets.signatures(cluster), threshold, max_checks, local, similarity
        )
        gone = local >= 0
        kept_of[cluster[gone]] = cluster[local[gone]]
        jaccard[cluster[gone]] = similarity[gone]
    return kept_of, jaccard, len(members) - (len(limits) - 1)


def _roots(job: Job, unique: Mask, bands: int, parts: int) -> Ints:
    """Smallest document of the cluster of each document, shape (documents,)."""
    candidates = np.flatnonzero(unique)
    parent = np.arange(len(unique), dtype=np.int64)
    stored = [job.load(f"sketch/{part:05d}.bands.npy") for part in range(parts)]
    for band in range(bands):
        keys = np.concatenate([part[band] for part in stored])
        order = candidates[np.argsort(keys[candidates], kind="stable")]
        minhash.unite_equal(parent, keys, order)
    # A parent is smaller than its child, so following upwards from the left ends at the root.
    while True:
        above = parent[parent]
        if (above == parent).all():
            return parent
        parent = above


def _spill(part: tuple[int, Mask], *, corpus: Corpus, job: Job, n: int) -> None:
    """Keep the shingle sets of one shard's clustered documents."""
    index, wanted = part
    values, ends, start, filled = [], [], 0, 0
    for batch in corpus.shard_batches(corpus.shards[index], ["text"]):
        here = wanted[start : start + batch.num_rows]
        start += batch.num_rows
        if here.any():
            some, some_ends = minhash.shingle_sets(texts(batch), n=n, wanted=here)
            values.append(some.copy())
            ends.append(some_ends + filled)
            filled += len(some)
    job.save(f"sets/{index:05d}.values.npy", np.concatenate(values))
    job.save(f"sets/{index:05d}.ends.npy", np.concatenate(ends))


class _Sets:
    """Shingle sets and signatures of clustered documents, read from where they were kept."""

    def __init__(self, corpus: Corpus, job: Job, members: Ints) -> None:
        firsts = np.cumsum([0, *(shard.documents for shard in corpus.shards)])
        self._firsts = firsts
        self._members = members
        shard_of = np.searchsorted(firsts, members, side="right") - 1
        self._shard_of = shard_of
        self._begins, self._ends = np.zeros(len(members), int), np.zeros(len(members), int)
        self._values = {}
        self._signatures = {}
        for part in np.unique(shard_of).tolist():
            ends = job.load(f"sets/{part:05d}.ends.npy")
            here = shard_of == part
            self._ends[here] = ends
            self._begins[here] = np.concatenate([[0], ends[:-1]])
            self._values[part] = job.load(f"sets/{part:05d}.values.npy")
            self._signatures[part] = job.load(f"sketch/{part:05d}.signatures.npy")

    def of(self, cluster: Ints) -> tuple[npt.NDArray[np.uint64], Ints]:
        """Sets of a cluster's documents, one after the other, and where each ends."""
        pieces = [self._values[part][begin:end] for part, begin, end in self._places(cluster)]
        ends = np.cumsum([len(piece) for piece in pieces])
        return np.concatenate(pieces), ends

    def _places(self, cluster: Ints) -> Iterator[tuple[int, int, int]]:
        at = np.searchsorted(self._members, cluster)
        return zip(self._shard_of[at].tolist(), self._begins[at].tolist(), self._ends[at].tolist())

    def signatures(self, cluster: Ints) -> npt.NDArray[np.uint32]:
        """Signatures of a cluster's documents, shape (m, k)."""
        parts = self._shard_of[np.searchsorted(self._members, cluster)]
        rows = cluster - self._firsts[parts]
        return np.stack([self._signatures[part][row] for part, row in zip(parts, rows)])
