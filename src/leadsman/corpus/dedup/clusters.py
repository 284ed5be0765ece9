"""Copies among many documents: clusters by LSH bands, each removal verified.

Shingle sets of clustered documents are spilled to disk shard by shard and read back cluster by
cluster, so memory does not grow with the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.dedup.key_ranges import by_key_range
from leadsman.corpus.dedup.sketches import Sketches
from leadsman.corpus.kernels import minhash
from leadsman.corpus.kernels.text import texts
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.memory import forget, read_into
from leadsman.corpus.shards.subset import split
from leadsman.engine import Engine, ThreadEngine

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_CHUNK = 1 << 18
"""Shingle hashes (8 bytes each) that a thread verifies at a time."""


def cluster_roots(sketches: Sketches, bands: int, documents: int) -> Ints:
    """Smallest document of the cluster of each document, shape (documents,).

    Args:
        sketches: of the documents.
        bands: of the signature.
        documents: number of them.
    """
    parent = np.arange(documents, dtype=np.int64)
    keys, rows = sketches.stored("bands"), sketches.stored("rows")
    for band in range(bands):
        stored = [(one[band], other[band]) for one, other in zip(keys, rows)]
        for numbers, values in by_key_range(stored):
            order = np.argsort(values, kind="stable")
            minhash.unite_equal(parent, values[order], numbers[order])
        for mapped in (*keys, *rows):
            forget(mapped)
    # A parent is smaller than its child, so following upwards from the left ends at the root.
    while True:
        above = parent[parent]
        if (above == parent).all():
            return parent
        parent = above


def near_copies(
    corpus: Corpus,
    roots: Ints,
    wanted: Mask,
    job: Job,
    sketches: Sketches,
    *,
    threshold: float,
    max_checks: int,
) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Find near copies among some documents of each cluster.

    Args:
        corpus: the documents.
        roots: see :func:`cluster_roots`.
        wanted: whose sets were spilled (:func:`spill`), shape (documents,).
        job: holds what was spilled.
        sketches: have the signatures.
        threshold, max_checks: see :class:`~leadsman.corpus.dedup.documents.DedupSettings`.

    Returns:
        For each document the number of the kept one it is a near copy of (-1: it stays), and their
        true Jaccard similarity.
    """
    kept_of = np.full(len(roots), -1, np.int64)
    jaccard = np.zeros(len(roots), np.float32)
    members = np.flatnonzero(wanted)
    if not len(members):
        return kept_of, jaccard
    sets = _Sets(corpus, job, sketches, members)
    ordered = members[np.argsort(roots[members], kind="stable")]
    limits = np.flatnonzero(np.diff(roots[ordered], prepend=-1, append=-1))
    verify = partial(
        _verify, ordered=ordered, limits=limits, sets=sets, threshold=threshold,
        max_checks=max_checks, kept_of=kept_of, jaccard=jaccard,
    )  # fmt: skip
    for _ in ThreadEngine().map(verify, list(_chunks(limits, sets.sizes(ordered)))):
        pass
    return kept_of, jaccard


def _chunks(limits: Ints, sizes: Ints) -> Iterator[tuple[int, int]]:
    """First and last cluster of each chunk, of about ``_CHUNK`` hashes."""
    filled = np.cumsum(np.add.reduceat(sizes, limits[:-1]))
    first = 0
    while first < len(filled):
        before = filled[first - 1] if first else 0
        last = max(int(np.searchsorted(filled, before + _CHUNK, side="right")), first + 1)
        yield first, last
        first = last


def _verify(
    chunk: tuple[int, int],
    *,
    ordered: Ints,
    limits: Ints,
    sets: _Sets,
    threshold: float,
    max_checks: int,
    kept_of: Ints,
    jaccard: npt.NDArray[np.float32],
) -> None:
    """Decide on the members of some clusters; writes to their places only."""
    first, last = chunk
    members = ordered[limits[first] : limits[last]]
    values, ends = sets.of(members)
    local, similarity = np.empty(len(members), np.int64), np.empty(len(members), np.float32)
    minhash.keep_first(
        limits[first : last + 1] - limits[first],
        values, ends, sets.signatures(members), threshold, max_checks, local, similarity,
    )  # fmt: skip
    gone = local >= 0
    kept_of[members[gone]] = members[local[gone]]
    jaccard[members[gone]] = similarity[gone]


def spill(corpus: Corpus, wanted: Mask, job: Job, *, n: int, engine: Engine) -> None:
    """Keep the shingle sets of some documents.

    Args:
        corpus: the documents.
        wanted: whose sets are kept, shape (documents,).
        job: gets ``sets/*.values.npy`` and ``*.ends.npy``.
        n: tokens in a shingle.
        engine: where it is done.
    """
    todo = [
        (part, mask.astype(np.bool_))
        for part, mask in enumerate(split(corpus, wanted))
        if mask.any() and not job.has(f"sets/{part:05d}.ends.npy")
    ]
    for _ in engine.map(partial(_spill, corpus=corpus, job=job, n=n), todo):
        pass


def _spill(part: tuple[int, Mask], *, corpus: Corpus, job: Job, n: int) -> None:
    index, wanted = part
    values, ends, start, filled = [], [], 0, 0
    for batch in corpus.shard_batches(corpus.shards[index], ["text"]):
        here = wanted[start : start + batch.num_rows]
        start += batch.num_rows
        if here.any():
            some, some_ends = minhash.shingle_sets(texts(batch.filter(pa.array(here))), n=n)
            values.append(some.copy())
            ends.append(some_ends + filled)
            filled += len(some)
    job.save(f"sets/{index:05d}.values.npy", *values)
    job.save(f"sets/{index:05d}.ends.npy", *ends)


class _Sets:
    """Shingle sets and signatures of clustered documents, read from where they were kept."""

    def __init__(self, corpus: Corpus, job: Job, sketches: Sketches, members: Ints) -> None:
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
            self._signatures[part] = sketches.load(part, "signatures")

    def sizes(self, documents: Ints) -> Ints:
        """Hashes in the set of each document."""
        at = np.searchsorted(self._members, documents)
        return np.asarray(self._ends[at] - self._begins[at])

    def of(self, documents: Ints) -> tuple[npt.NDArray[np.uint64], Ints]:
        """Sets of documents, one after the other, and where each ends (0 first)."""
        at = np.searchsorted(self._members, documents)
        ends = np.cumsum([0, *(self._ends[at] - self._begins[at])])
        values = np.empty(ends[-1], np.uint64)
        for part in np.unique(self._shard_of[at]).tolist():
            here = np.flatnonzero(self._shard_of[at] == part)
            places = zip(*(each[here].tolist() for each in (ends, ends[1:], self._begins[at])))
            pieces = [(values[first:last], begin) for first, last, begin in places]
            read_into(self._values[part], pieces)
        return values, ends

    def signatures(self, documents: Ints) -> npt.NDArray[np.uint32]:
        """Their signatures, shape (m, k)."""
        parts = self._shard_of[np.searchsorted(self._members, documents)]
        rows = documents - self._firsts[parts]
        width = next(iter(self._signatures.values())).shape[1]
        found = np.empty((len(documents), width), np.uint32)
        for part in np.unique(parts).tolist():
            here = parts == part
            found[here] = self._signatures[part][rows[here]]
            forget(self._signatures[part])
        return found
