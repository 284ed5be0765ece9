"""vote-k: documents that many others point at, but not ones that are spoken for already.

    score(u) = sum_{v -> u, v not taken} rho^(-|{taken l : v -> l}|),     next = argmax_u score(u)

v -> u: u is one of the k nearest of v by cosine. Su et al., "Selective Annotation Makes Language
Models Better Few-Shot Learners" (2023, catalogue 206), with rho = 10 and k = 150. This is their
graph-based part ("fast vote-k"); the full method then spreads the choice over a language model's
confidence, which this selector does without.
"""

from __future__ import annotations

import numpy as np

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.select.methods.coreset import Coreset, Ints, Vectors


class VoteK(Coreset):
    """Diverse and representative documents, by votes of their neighbours.

    Args:
        count, max_documents, dimensions: see :class:`leadsman.select.methods.coreset.Coreset`.
        neighbours: k, at most one less than there are candidates.
        rho: how fast a document's vote loses weight when its neighbours are taken.
    """

    name = "vote-k"
    paper = Paper("Selective Annotation Makes Language Models Better Few-Shot Learners", 2023, 206)

    def __init__(
        self,
        count: int | None = None,
        *,
        max_documents: int = 5000,
        dimensions: int = 64,
        neighbours: int = 150,
        rho: float = 10.0,
    ) -> None:
        super().__init__(count, max_documents=max_documents, dimensions=dimensions)
        if neighbours < 1:
            raise MethodError(f"vote-k: neighbours must be at least 1, not {neighbours}")
        if not rho > 1:
            raise MethodError(f"vote-k: rho must be above 1, not {rho}")
        self.neighbours = neighbours
        self.rho = rho

    def order(self, vectors: Vectors, count: int, *, seed: int) -> Ints:
        """The greedy choice; of equal scores the earlier candidate is taken."""
        n = len(vectors)
        k = min(self.neighbours, n - 1)
        if k == 0:
            return np.zeros(1, np.int64)
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -np.inf)
        points_at = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        voters: list[list[int]] = [[] for _ in range(n)]
        for voter, chosen in enumerate(points_at.tolist()):
            for candidate in chosen:
                voters[candidate].append(voter)
        weight = np.ones(n)
        scores = np.bincount(points_at.ravel(), minlength=n).astype(np.float64)
        taken = []
        for _ in range(count):
            # Rounded, so that the last digits of running sums decide no tie.
            row = int(np.argmax(np.round(scores, 9)))
            taken.append(row)
            # A taken document votes no more; those that point at it vote with less weight.
            scores[points_at[row]] -= weight[row]
            weight[row] = 0.0
            for voter in voters[row]:
                lost = weight[voter] * (1 - 1 / self.rho)
                weight[voter] -= lost
                scores[points_at[voter]] -= lost
            scores[row] = -np.inf
        return np.array(taken)
