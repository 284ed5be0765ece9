"""Documents as vectors of length one, so that near means alike.

``HashedSVD`` (latent semantic analysis; Deerwester et al. 1990) needs nothing but the core:

    x = W^T (tf * idf) / |...|      tf_j  1 + log of how often hashed n-gram j occurs
                                    idf_j log((1 + documents) / (1 + documents with j)) + 1

W are the first right singular vectors of the sample's tf-idf matrix. ``SentenceEmbedding`` wraps
a sentence-transformers model (extra ``embed``).
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.kernels.text import TextColumn, ngram_matrix, texts, token_counts
from leadsman.corpus.shards.estimate import sample_documents
from leadsman.errors import MethodError, MissingExtraError

Vectors = npt.NDArray[np.float32]


class Embedding(Protocol):
    """Something that places documents."""

    def fit(self, corpus: Corpus, *, seed: int = 0) -> Self:
        """Learn what there is to learn from the documents."""
        ...

    def embed(self, batch: pa.RecordBatch) -> Vectors:
        """One row of length one (or zero, for an empty text) a document, shape (n, dimensions)."""
        ...

    def details(self, batch: pa.RecordBatch) -> sparse.csr_array:
        """What two documents are compared by: as :meth:`embed`, before anything is projected."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the result depends on, beside the documents it was fitted on."""
        ...


class HashedSVD:
    """TF-IDF of hashed n-grams, projected onto their main directions.

    Args:
        dimensions: of the vectors; fewer if the sample does not span as many.
        n: longest n-gram.
        buckets: hash buckets.
        max_documents: most documents to learn from, drawn at random.

    Attributes:
        idf_: of each bucket, shape (buckets,).
        projection_: singular vectors, shape (buckets, dimensions).

    >>> import tempfile
    >>> from leadsman.corpus import write_corpus
    >>> rows = [{"text": t} for t in ("red wine", "old red wine", "blue sea", "deep blue sea")]
    >>> corpus = write_corpus(tempfile.mkdtemp(), rows)
    >>> vectors = HashedSVD(2).fit(corpus).embed(next(corpus.batches()))
    >>> bool(vectors[0] @ vectors[1] > 0.9 > 0.1 > vectors[0] @ vectors[2])
    True
    """

    def __init__(
        self, dimensions: int = 128, n: int = 1, buckets: int = 1 << 16, *,
        max_documents: int = 10_000,
    ) -> None:  # fmt: skip
        if dimensions < 1 or buckets < 2 or n < 1 or max_documents < 2:
            raise MethodError(
                "hashed SVD: dimensions and n must be at least 1, buckets and max_documents 2"
            )
        self.dimensions = dimensions
        self.n = n
        self.buckets = buckets
        self.max_documents = max_documents
        self.idf_: Vectors | None = None
        self.projection_: Vectors | None = None

    def describe(self) -> dict[str, Any]:
        """Its arguments."""
        names = ("dimensions", "n", "buckets", "max_documents")
        return {"embedding": "hashed-svd"} | {name: getattr(self, name) for name in names}

    def fit(self, corpus: Corpus, *, seed: int = 0) -> Self:
        """Find the main directions of a sample drawn with ``seed``.

        Raises:
            MethodError: the sample holds no words.
        """
        from sklearn.utils.extmath import randomized_svd

        numbers = sample_documents(corpus, self.max_documents, seed=seed)
        rows = corpus.take(numbers, ["text"])
        column = pa.array([rows[number]["text"] for number in numbers], pa.large_string())
        counts = self._frequencies(TextColumn.of(column))
        holding = np.bincount(counts.indices, minlength=self.buckets)
        self.idf_ = (np.log((1 + counts.shape[0]) / (1 + holding)) + 1).astype(np.float32)
        used = np.flatnonzero(holding)
        weighted = _unit_rows(counts[:, used] @ sparse.diags_array(self.idf_[used]))
        rank = min(self.dimensions, counts.shape[0] - 1, len(used) - 1)
        if rank < 1:
            raise MethodError(
                f"{corpus.location}: too few different documents or words to tell apart by"
            )
        _, _, directions = randomized_svd(weighted.tocsr(), rank, random_state=seed)
        self.projection_ = np.zeros((self.buckets, rank), np.float32)
        self.projection_[used] = directions.T
        return self

    def details(self, batch: pa.RecordBatch) -> sparse.csr_array:
        """TF-IDF of the hashed n-grams, shape (n, buckets); rows of length one."""
        if self.idf_ is None:
            raise MethodError("hashed SVD: call fit before details")
        counts = self._frequencies(texts(batch))
        counts.data = counts.data * self.idf_[counts.indices]
        return _unit_rows(counts).astype(np.float32)

    def embed(self, batch: pa.RecordBatch) -> Vectors:
        """See :class:`Embedding`."""
        if self.projection_ is None:
            raise MethodError("hashed SVD: call fit before embed")
        # Row by row in a sparse product: a document's vector does not depend on its neighbours.
        rows = self.details(batch) @ self.projection_
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)

    def _frequencies(self, column: TextColumn) -> sparse.csr_array:
        """1 + log counts of hashed n-grams, shape (documents, buckets)."""
        matrix = ngram_matrix(column, n=self.n, buckets=self.buckets)
        tokens = token_counts(column)
        # Shares are of all n-grams, of which a document of t tokens has t + (t-1) + ...
        totals = sum(np.maximum(tokens - order, 0) for order in range(self.n))
        matrix.data *= np.repeat(totals, np.diff(matrix.indptr))
        matrix.data = 1 + np.log(np.maximum(matrix.data, 1))
        return matrix


class SentenceEmbedding:
    """Vectors of a sentence-transformers model.

    Args:
        model: name or local path.

    Raises:
        MissingExtraError: the extra ``embed`` is not installed.
    """

    def __init__(self, model: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError("embed", "a sentence embedding") from error
        self.model = model
        self._encoder = SentenceTransformer(model)

    def describe(self) -> dict[str, Any]:
        """Its arguments."""
        return {"embedding": "sentence-transformers", "model": self.model}

    def fit(self, corpus: Corpus, *, seed: int = 0) -> Self:
        """Nothing to learn."""
        return self

    def embed(self, batch: pa.RecordBatch) -> Vectors:
        """See :class:`Embedding`."""
        documents = batch.column("text").to_pylist()
        found = self._encoder.encode(
            documents, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(found, np.float32)

    def details(self, batch: pa.RecordBatch) -> sparse.csr_array:
        """The vectors themselves."""
        return sparse.csr_array(self.embed(batch))


def embed_sample(
    embedding: Embedding, corpus: Corpus, documents: int, *, seed: int
) -> tuple[Vectors, pa.RecordBatch]:
    """Vectors of documents drawn at random that hold words the embedding knows.

    Args:
        embedding: fitted.
        corpus: to draw from.
        documents: most documents drawn.
        seed: of the draw.

    Returns:
        Vectors, shape (n, dimensions), and the documents, a batch of n with ``text``; n may be 0.
    """
    rows = corpus.take(sample_documents(corpus, documents, seed=seed), ["text"])
    column = pa.array([row["text"] for row in rows.values()], pa.large_string())
    batch = pa.RecordBatch.from_arrays([column], ["text"])
    vectors = embedding.embed(batch)
    known = np.any(vectors != 0, axis=1)
    return np.ascontiguousarray(vectors[known]), batch.filter(pa.array(known))


def embedding_named(name: str) -> Embedding:
    """``svd`` is :class:`HashedSVD`; anything else is a sentence-transformers model.

    Raises:
        MissingExtraError: a model without the extra ``embed``.
    """
    return HashedSVD() if name == "svd" else SentenceEmbedding(name)


def _unit_rows(matrix: sparse.sparray) -> sparse.csr_array:
    rows = sparse.csr_array(matrix)
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    return sparse.csr_array(sparse.diags_array(1 / np.maximum(lengths, 1e-12)) @ rows)
