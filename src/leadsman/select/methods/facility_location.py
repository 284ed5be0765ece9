"""Facility location: take the document that makes all others best represented.

    F(S) = sum_i max_{s in S} max(cos(x_i, x_s), 0),     next = argmax_j F(S + j) - F(S)

F is monotone and submodular, so the greedy choice reaches at least 1 - 1/e of the best set of its
size. Wei, Iyer & Bilmes, "Submodularity in Data Subset Selection and Active Learning" (2015).
Gains only fall as S grows, so old gains bound new ones and few are computed again (lazy greedy).
"""

from __future__ import annotations

import heapq

import numpy as np

from leadsman.methods import Paper
from leadsman.select.methods.coreset import Coreset, Ints, Vectors


class FacilityLocation(Coreset):
    """Greedy order of representatives: every document has a chosen one like it.

    The similarities of all candidates are held: 4 n^2 bytes.
    """

    name = "facility-location"
    paper = Paper("Submodularity in Data Subset Selection and Active Learning", 2015, None)

    def order(self, vectors: Vectors, count: int, *, seed: int) -> Ints:
        """Lazy greedy; of equal gains the earlier candidate is taken."""
        similarity = np.maximum(vectors @ vectors.T, 0)
        covered = np.zeros(len(vectors), np.float32)
        heap = [(-float(gain), row) for row, gain in enumerate(similarity.sum(axis=1))]
        heapq.heapify(heap)
        taken: list[int] = []
        while len(taken) < count:
            _, row = heapq.heappop(heap)
            gain = float(np.maximum(similarity[row] - covered, 0).sum())
            if heap and (-gain, row) > heap[0]:
                heapq.heappush(heap, (-gain, row))
                continue
            taken.append(row)
            np.maximum(covered, similarity[row], out=covered)
        return np.array(taken)
