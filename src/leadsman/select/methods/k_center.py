"""k-center: take the document farthest from all that are taken.

    next = argmax_i min_{s taken} |x_i - x_s|

Gonzalez's greedy rule: after k steps no candidate is farther from a taken one than twice the best
possible radius of k centres. Sener & Savarese, "Active Learning for Convolutional Neural Networks:
A Core-Set Approach" (2018) use it to choose training data. It covers everything, so it takes
the odd documents first: filter before.
"""

from __future__ import annotations

import numpy as np

from leadsman.methods import Paper
from leadsman.select.methods.coreset import Coreset, Ints, Vectors


class KCenter(Coreset):
    """Farthest-first order: every document lies near a chosen one."""

    name = "k-center"
    paper = Paper(
        "Active Learning for Convolutional Neural Networks: A Core-Set Approach", 2018, None
    )

    def order(self, vectors: Vectors, count: int, *, seed: int) -> Ints:
        """Begin with the candidate nearest the mean, then the farthest from all taken."""
        taken = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
        # Of length one: |x - y|^2 = 2 - 2 cos, so the farthest has the least cosine.
        closest = vectors @ vectors[taken[0]]
        for _ in range(count - 1):
            closest[taken] = np.inf
            taken.append(int(np.argmin(closest)))
            np.maximum(closest, vectors @ vectors[taken[-1]], out=closest)
        return np.array(taken)
