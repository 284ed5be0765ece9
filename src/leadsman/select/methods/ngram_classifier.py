"""A linear classifier of target against raw on hashed n-grams: the fastText way to quality.

    score(x) = b + sum_j w_j z_j / sum_j z_j        log odds that x is of the target

z_j counts the document's 1- to n-grams in bucket j; w and b minimise logistic loss with an L2
penalty on as many documents of the target as of raw. Joulin et al., "Bag of Tricks for Efficient
Text Classification" (2017), without the rank bottleneck, which two classes do not need.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from leadsman.corpus import Corpus
from leadsman.corpus.kernels.text import TextColumn, ngram_matrix, ngram_sums, texts
from leadsman.corpus.shards.estimate import sample_documents
from leadsman.errors import InputError, MethodError
from leadsman.methods import Paper
from leadsman.select.base import Selector


class NgramClassifier(Selector):
    """Log odds of being of the target, by logistic regression on hashed n-grams.

    Args:
        n: longest n-gram.
        buckets: hash buckets.
        max_documents: most documents of each side to learn from, drawn at random.
        strength: weight of the data against the penalty (C of logistic regression).

    Attributes:
        weights_: one a bucket, log odds, shape (buckets,).
        intercept_: log odds of a document without n-grams.

    Raises:
        MethodError: a hyperparameter that cannot be, or ``score`` before ``fit``.
    """

    name = "ngram-classifier"
    paper = Paper("Bag of Tricks for Efficient Text Classification", 2017, None)

    def __init__(
        self,
        n: int = 2,
        buckets: int = 1 << 18,
        *,
        max_documents: int = 10_000,
        strength: float = 1000.0,
    ) -> None:
        if not 1 <= n <= 16:
            raise MethodError(f"ngram-classifier: n must be 1 to 16, not {n}")
        if not 1 <= buckets <= 1 << 31:
            raise MethodError(f"ngram-classifier: buckets must be 1 to 2^31, not {buckets}")
        if max_documents < 1:
            raise MethodError(
                f"ngram-classifier: max_documents must be at least 1, not {max_documents}"
            )
        if not 0 < strength < float("inf"):
            raise MethodError(f"ngram-classifier: strength must be above zero, not {strength}")
        self.n = n
        self.buckets = buckets
        self.max_documents = max_documents
        self.strength = strength
        self.weights_: npt.NDArray[np.float64] | None = None
        self.intercept_ = 0.0

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Learn to tell the target from a sample of raw, drawn with ``seed``.

        Raises:
            InputError: one side holds no words.
        """
        from sklearn.linear_model import LogisticRegression

        count = min(self.max_documents, raw.documents, target.documents)
        sides = [self._features(corpus, count, seed) for corpus in (raw, target)]
        labels = np.repeat([0, 1], [side.shape[0] for side in sides])
        model = LogisticRegression(C=self.strength, max_iter=200, tol=1e-4)
        features = sparse.vstack(sides, format="csr")
        # A bucket that no document fills has weight zero at the optimum: leave it out.
        used = np.unique(features.indices)
        model.fit(features[:, used], labels)
        self.weights_ = np.zeros(self.buckets)
        self.weights_[used] = model.coef_[0]
        self.intercept_ = float(model.intercept_[0])
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Log odds of each document, shape (n,)."""
        if self.weights_ is None:
            raise MethodError("ngram-classifier: call fit before score")
        sums, totals = ngram_sums(texts(batch), n=self.n, weights=self.weights_)
        return (self.intercept_ + sums / np.maximum(totals, 1)).astype(np.float32)

    def _features(self, corpus: Corpus, count: int, seed: int) -> sparse.csr_array:
        numbers = sample_documents(corpus, count, seed=seed)
        rows = corpus.take(numbers, ["text"])
        column = pa.array([rows[number]["text"] for number in numbers], pa.large_string())
        features = ngram_matrix(TextColumn.of(column), n=self.n, buckets=self.buckets)
        if not features.nnz:
            raise InputError("holds no words to compare", file=corpus.location)
        return features
