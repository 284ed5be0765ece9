"""Loops over vectors of length one, in kernels: cosines that do not depend on the batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leadsman.corpus.kernels.jit import jit

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@jit
def cosine(one: Vectors, other: Vectors) -> float:
    """Dot product of two vectors, in double precision and always in the same order."""
    total = 0.0
    for i in range(one.size):
        total += np.float64(one[i]) * np.float64(other[i])
    return total


@jit
def nearest(rows: Vectors, centres: Vectors, place: Ints, similarity: Vectors) -> None:
    """The nearest centre of each row, the first of equals, and the cosine to it."""
    for i in range(len(rows)):
        best, found = -2.0, -1
        for j in range(len(centres)):
            value = cosine(rows[i], centres[j])
            if value > best:
                best, found = value, j
        place[i] = found
        similarity[i] = best


@jit
def keep_first(
    starts: Ints,
    places: Ints,
    weights: Vectors,
    width: int,
    members: Ints,
    threshold: float,
    kept_of: Ints,
    similarity: Vectors,
) -> None:
    """Within one cluster, in order, remove what is near a document already kept.

    Args:
        starts, places, weights: sparse rows of length one, of the members (CSR).
        width: columns.
        members: numbers of the documents, shape (m,), ascending.
        threshold: least cosine to the kept document.
        kept_of: out, for all documents: number of the nearest kept one each is a copy of.
        similarity: out: the cosine to it.
    """
    kept = np.empty(len(members), np.int64)
    spread = np.zeros(width, np.float64)
    count = 0
    for i in range(len(members)):
        for k in range(starts[i], starts[i + 1]):
            spread[places[k]] = weights[k]
        best, found = threshold, -1
        for j in range(count):
            total = 0.0
            for k in range(starts[kept[j]], starts[kept[j] + 1]):
                total += spread[places[k]] * weights[k]
            if total > best or (total == best and found < 0):
                best, found = total, kept[j]
        for k in range(starts[i], starts[i + 1]):
            spread[places[k]] = 0.0
        if found < 0:
            kept[count] = i
            count += 1
        else:
            kept_of[members[i]] = members[found]
            similarity[members[i]] = best


def spherical_clusters(vectors: Vectors, clusters: int, *, seed: int, rounds: int = 10) -> Vectors:
    """Centres of k-means on the sphere, shape (at most ``clusters``, d), each of length one.

    Lloyd's rounds from centres drawn among the vectors; a centre that loses all its vectors
    stays where it is.
    """
    distinct = np.unique(vectors, axis=0)
    generator = np.random.default_rng(seed)
    count = min(clusters, len(distinct))
    centres = distinct[np.sort(generator.choice(len(distinct), count, replace=False))]
    for _ in range(rounds):
        place = np.argmax(vectors @ centres.T, axis=1)
        sums = np.zeros_like(centres, dtype=np.float64)
        np.add.at(sums, place, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), centres)
        centres = np.ascontiguousarray(centres, np.float32)
    return centres
