"""DSIR: importance weights of raw documents against a target, on hashed n-grams.

    log w(z) = sum_j z_j [ log p_target(j) - log q_raw(j) ]

z_j counts the document's 1- to n-grams in hash bucket j; p and q are the bucket frequencies of
target and raw. Xie et al., "Data Selection for Language Models via Importance Resampling"
(2023). Weights are log ratios in nats; a document is drawn with probability proportional to w
(:class:`leadsman.select.policy.Policy` does that).

The sum runs over whole documents, so on long ones it spreads over hundreds of nats: one document
takes all the weight and resampling is top-k in disguise. ``length_normalised`` divides by the
number of n-grams; a policy's ``effective_size`` sets the temperature instead.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.corpus.kernels.text import ngram_sums, texts
from leadsman.corpus.ngrams.counts import Counts, hashed_counts, smoothed
from leadsman.errors import InputError, MethodError
from leadsman.methods import Paper
from leadsman.select.base import Selector


class DSIR(Selector):
    """Importance weights on hashed n-grams, for resampling towards a target.

    Args:
        n: longest n-gram.
        buckets: hash buckets.
        smoothing: probability added to each bucket before the logarithm.
        length_normalised: mean instead of sum over a document's n-grams (nats per n-gram).

    Attributes:
        log_ratio_: weight of each bucket, nats, shape (buckets,).
        raw_counts_, target_counts_: n-grams in each bucket, shape (buckets,).

    Raises:
        MethodError: a hyperparameter that cannot be, or ``score`` before ``fit``.

    >>> import tempfile
    >>> from leadsman.corpus import write_corpus
    >>> raw = write_corpus(tempfile.mkdtemp(), [{"text": "red wine"}, {"text": "blue sea"}])
    >>> target = write_corpus(tempfile.mkdtemp(), [{"text": "the sea"}])
    >>> bool(np.diff(DSIR().fit(raw, target).score(next(raw.batches())))[0] > 0)
    True
    """

    name = "dsir"
    paper = Paper("Data Selection for Language Models via Importance Resampling", 2023, 221)

    def __init__(
        self,
        n: int = 2,
        buckets: int = 10_000,
        *,
        smoothing: float = 1e-8,
        length_normalised: bool = False,
    ) -> None:
        if not 1 <= n <= 16:
            raise MethodError(f"dsir: n must be 1 to 16, not {n}")
        if not 1 <= buckets <= 1 << 31:
            raise MethodError(f"dsir: buckets must be 1 to 2^31, not {buckets}")
        if not 0 < smoothing < 1:
            raise MethodError(f"dsir: smoothing must lie between 0 and 1, not {smoothing}")
        self.n = n
        self.buckets = buckets
        self.smoothing = smoothing
        self.length_normalised = length_normalised
        self.log_ratio_: npt.NDArray[np.float64] | None = None
        self.raw_counts_: Counts | None = None
        self.target_counts_: Counts | None = None

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Count n-grams of both sides; ``seed`` has no effect.

        Raises:
            InputError: one side holds no words.
        """
        self.raw_counts_ = hashed_counts(raw, n=self.n, buckets=self.buckets)
        self.target_counts_ = hashed_counts(target, n=self.n, buckets=self.buckets)
        for corpus, counts in ((raw, self.raw_counts_), (target, self.target_counts_)):
            if not counts.any():
                raise InputError("holds no words to compare", file=corpus.location)
        self.log_ratio_ = np.log(smoothed(self.target_counts_, self.smoothing)) - np.log(
            smoothed(self.raw_counts_, self.smoothing)
        )
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Log importance weight of each document, shape (n,)."""
        if self.log_ratio_ is None:
            raise MethodError("dsir: call fit before score")
        sums, totals = ngram_sums(texts(batch), n=self.n, weights=self.log_ratio_)
        if self.length_normalised:
            sums /= np.maximum(totals, 1)
        return sums.astype(np.float32)
