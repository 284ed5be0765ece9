"""GORACS: the group of documents that lies nearest to the target as a whole.

    minimise over S, |S| = k:   W(S, V) + lambda / k * sum_{s in S} |g_s|

W is the optimal-transport cost (mean Euclidean distance of document vectors) from the group S to
the target sample V, both with equal masses, so that S must cover V in its proportions; g_s is the
gradient a document gives. Such a sum bounds the loss on the target. "GORACS: Group-level Optimal
Transport-guided Coreset Selection for LLM-based Recommender Systems" (2025, catalogue 265).

1. Greedy on the relaxed cost, in which each target document goes to its nearest chosen one:
   a lower bound of W.
2. Swaps: exact transport gives each document a potential u; the member with the highest
   u + lambda |g| makes way for the candidate with the lowest, if the exact sum falls; else the
   next most promising pairs are tried.

Two things differ from the paper: vectors are hashed TF-IDF with SVD, not a language model's, and
the gradient is that of the simplest model, which predicts the mean vector m of the raw documents:
g_s = m - x_s.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from leadsman.corpus import Corpus
from leadsman.corpus.vectors.embedding import embed_sample
from leadsman.corpus.vectors.neighbours import nearest
from leadsman.errors import InputError, MethodError, MissingExtraError
from leadsman.methods import Paper
from leadsman.select.methods.coreset import Coreset, Ints, Vectors

Floats = npt.NDArray[np.float64]
_TRIES = 32
"""Swaps tried, the most promising first, before the group is taken as final."""
_SHARE, _MOST = 10, 500


class GORACS(Coreset):
    """A group with the least transport cost to the target, found greedily, then by swaps.

    Args:
        count: documents in the group; by default a tenth of the candidates, 500 at most.
        max_documents, dimensions: see :class:`leadsman.select.methods.coreset.Coreset`.
        max_target: most target documents, drawn at random.
        gradient_weight: lambda.
        swaps: most swaps tried; each is one exact transport.

    Attributes:
        objective_: the sum above, after the greedy start and after each swap.

    Raises:
        MissingExtraError: the extra ``ot`` is not installed (in ``fit``).
    """

    name = "goracs"
    paper = Paper(
        "GORACS: Group-level Optimal Transport-guided Coreset Selection for LLM-based "
        "Recommender Systems",
        2025,
        265,
    )

    def __init__(
        self,
        count: int | None = None,
        *,
        max_documents: int = 5000,
        dimensions: int = 64,
        max_target: int = 500,
        gradient_weight: float = 0.1,
        swaps: int = 200,
    ) -> None:
        super().__init__(count, max_documents=max_documents, dimensions=dimensions)
        if max_target < 1:
            raise MethodError(f"goracs: max_target must be at least 1, not {max_target}")
        if not 0 <= gradient_weight < float("inf"):
            raise MethodError(
                f"goracs: gradient_weight must be zero or more, not {gradient_weight}"
            )
        if swaps < 0:
            raise MethodError(f"goracs: swaps must be zero or more, not {swaps}")
        self.max_target = max_target
        self.gradient_weight = gradient_weight
        self.swaps = swaps
        self.target_: Vectors | None = None
        self.objective_: list[float] = []

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Find the group; of the target a sample is drawn with ``seed``.

        Raises:
            InputError: raw or target hold no words.
        """
        return super().fit(raw, target, seed=seed)

    def _prepare(self, raw: Corpus, target: Corpus, seed: int) -> None:
        assert self.embedding_ is not None
        vectors, _ = embed_sample(self.embedding_, target, self.max_target, seed=seed)
        if not len(vectors):
            raise InputError("holds no words that raw holds too", file=target.location)
        self.target_ = vectors

    def order(self, vectors: Vectors, count: int, *, seed: int) -> Ints:
        """The group, the documents that lower the sum most first."""
        if self.target_ is None:
            raise MethodError("goracs: call fit before order")
        if self.count is None:
            count = max(1, min(len(vectors) // _SHARE, _MOST))
        cost = _distances(vectors, self.target_)
        gradients = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1).astype(np.float64)
        penalty = self.gradient_weight * gradients
        group = greedy_group(cost, penalty, count)
        value, source, goal = transport(cost[group], penalty[group])
        self.objective_ = [value]
        left = self.swaps
        while left > 0:
            tried, swapped = self._swap(cost, penalty, group, source, goal, left)
            left -= tried
            if swapped is None:
                break
            group, value, source, goal = swapped
            self.objective_.append(value)
        return group[np.argsort(source + penalty[group], kind="stable")]

    def _swap(
        self, cost: Floats, penalty: Floats, group: Ints, source: Floats, goal: Floats, left: int
    ) -> tuple[int, tuple[Ints, float, Floats, Floats] | None]:
        """How many swaps were tried, and the first that lowers the sum, if one does."""
        outside = np.setdiff1d(np.arange(len(cost)), group)
        if not len(outside):
            return 0, None
        # What a unit of mass at x would cost at the present prices: the c-transform.
        wanted = (cost[outside] - goal).min(axis=1) + penalty[outside]
        entering = np.argsort(wanted, kind="stable")[:_TRIES]
        paid = source + penalty[group]
        leaving = np.argsort(-paid, kind="stable")[:_TRIES]
        promise = wanted[entering][:, None] - paid[leaving][None]
        pairs = np.argsort(promise, axis=None, kind="stable")[: min(_TRIES, left)]
        for tried, pair in enumerate(pairs, 1):
            enter, leave = np.unravel_index(pair, promise.shape)
            trial = group.copy()
            trial[leaving[leave]] = outside[entering[enter]]
            value, u, v = transport(cost[trial], penalty[trial])
            if value < self.objective_[-1] - 1e-9:
                return tried, (trial, value, u, v)
        return len(pairs), None

    def _rest(self, vectors: Vectors) -> Vectors:
        """Outside the group: the nearer to a target document the higher."""
        assert self.target_ is not None
        place, similarity = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
        nearest(vectors, self.target_, place, similarity)
        return np.asarray(np.clip((similarity - 1) / 2, -1, 0), np.float32)


def greedy_group(cost: Floats, penalty: Floats, count: int) -> Ints:
    """Candidates that lower the relaxed sum most, one after the other.

    Args:
        cost: candidates to target documents, shape (n, m).
        penalty: of each candidate, shape (n,).
        count: size of the group.
    """
    reached = np.full(cost.shape[1], cost.max())
    taken: list[int] = []
    for _ in range(min(count, len(cost))):
        gain = np.maximum(reached - cost, 0).mean(axis=1) - penalty / count
        # Where all targets are reached, the nearest to its target is the best of the rest.
        gain -= 1e-6 * cost.min(axis=1)
        gain[taken] = -np.inf
        taken.append(int(np.argmax(gain)))
        reached = np.minimum(reached, cost[taken[-1]])
    return np.array(taken)


def transport(cost: Floats, penalty: Floats) -> tuple[float, Floats, Floats]:
    """The exact sum of a group, and the potentials of its members and of the target documents.

    Args:
        cost: members to target documents, shape (k, m).
        penalty: of each member, shape (k,).

    Raises:
        MissingExtraError: the extra ``ot`` is not installed.
    """
    try:
        import ot
    except ImportError as error:
        raise MissingExtraError("ot", "the selector 'goracs'") from error
    members, targets = cost.shape
    masses = np.full(members, 1 / members), np.full(targets, 1 / targets)
    log: dict[str, Any]
    _, log = ot.emd(*masses, np.ascontiguousarray(cost), log=True)
    return float(log["cost"] + penalty.mean()), np.asarray(log["u"]), np.asarray(log["v"])


def _distances(one: Vectors, other: Vectors) -> Floats:
    squares = np.maximum(2 - 2 * (one.astype(np.float64) @ other.T.astype(np.float64)), 0)
    return np.asarray(np.sqrt(squares))
