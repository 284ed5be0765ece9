"""What selectors of variety share: candidates as vectors, a greedy order, scores from the order.

The value of a document depends on which others are taken, so these selectors put candidates in
the order in which they would take them. The first of k candidates scores k, the last 1; every
other document, candidate or not, scores between -1 and 0, higher the less it is like any taken
one. A policy that keeps the highest scores therefore takes the greedy choice, then the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.corpus.kernels.text import normalised_hashes, texts
from leadsman.corpus.vectors.embedding import HashedSVD, embed_sample
from leadsman.corpus.vectors.neighbours import nearest
from leadsman.errors import InputError, MethodError
from leadsman.select.base import Selector

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Coreset(Selector):
    """Base of selectors that put candidates in a greedy order; has no name, so it is not listed.

    Args:
        count: documents to put in order; all candidates by default.
        max_documents: most candidates, drawn at random from the documents with words.
        dimensions: of the vectors (:class:`leadsman.corpus.vectors.embedding.HashedSVD`).

    Attributes:
        ranks_: place in the order, by the hash of a document's normalised text.
        taken_: vectors of the documents in the order, shape (count, dimensions).
    """

    def __init__(
        self, count: int | None = None, *, max_documents: int = 5000, dimensions: int = 64
    ) -> None:
        if count is not None and count < 1:
            raise MethodError(f"{self.name}: count must be at least 1, not {count}")
        if max_documents < 2:
            raise MethodError(f"{self.name}: max_documents must be at least 2, not {max_documents}")
        if dimensions < 1:
            raise MethodError(f"{self.name}: dimensions must be at least 1, not {dimensions}")
        self.count = count
        self.max_documents = max_documents
        self.dimensions = dimensions
        self.embedding_: HashedSVD | None = None
        self.ranks_: dict[bytes, int] = {}
        self.taken_: Vectors | None = None

    @abstractmethod
    def order(self, vectors: Vectors, count: int, *, seed: int) -> Ints:
        """Rows of ``vectors`` in the order they are taken, shape (at most count,).

        Args:
            vectors: candidates, of length one, no text twice, shape (n, dimensions).
            count: how many to take, at most n.
            seed: of any draw.
        """

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Put candidates from ``raw`` in order; ``target`` has no effect unless a method says so.

        Raises:
            InputError: no document of ``raw`` holds a word.
        """
        self.embedding_ = HashedSVD(self.dimensions).fit(raw, seed=seed)
        vectors, keys = self._candidates(raw, seed)
        self._prepare(raw, target, seed)
        count = min(self.count or len(vectors), len(vectors))
        taken = self.order(vectors, count, seed=seed)
        self.ranks_ = {keys[row]: place for place, row in enumerate(taken.tolist())}
        self.taken_ = np.ascontiguousarray(vectors[taken])
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Place in the order from the end, or unlikeness less one; minus infinity without words."""
        if self.embedding_ is None or self.taken_ is None:
            raise MethodError(f"{self.name}: call fit before score")
        vectors = self.embedding_.embed(batch)
        scores = self._rest(vectors)
        keys = normalised_hashes(texts(batch))
        for row, key in enumerate(keys):
            found = self.ranks_.get(key.tobytes())
            if found is not None:
                scores[row] = len(self.taken_) - found
        scores[~np.any(vectors != 0, axis=1)] = -np.inf
        return scores

    def _rest(self, vectors: Vectors) -> Vectors:
        """Scores between -1 and 0 of documents that are not in the order, shape (n,)."""
        assert self.taken_ is not None
        place, similarity = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
        nearest(vectors, self.taken_, place, similarity)
        return np.asarray(np.clip((1 - similarity) / 2 - 1, -1, 0), np.float32)

    def _prepare(self, raw: Corpus, target: Corpus, seed: int) -> None:
        """Learn what :meth:`order` needs beside the candidates; nothing here."""

    def _candidates(self, raw: Corpus, seed: int) -> tuple[Vectors, list[bytes]]:
        """Vectors and text hashes of the candidates, each text once."""
        assert self.embedding_ is not None
        vectors, batch = embed_sample(self.embedding_, raw, self.max_documents, seed=seed)
        first: dict[bytes, int] = {}
        for row, key in enumerate(normalised_hashes(texts(batch))):
            first.setdefault(key.tobytes(), row)
        if not first:
            raise InputError("holds no words to compare", file=raw.location)
        return np.ascontiguousarray(vectors[list(first.values())]), list(first)
