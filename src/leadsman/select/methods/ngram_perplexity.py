"""Perplexity under an n-gram model of the target: what reads like the target scores high.

    score(x) = - (1 / |x|) sum_i -log P(x_i | x_(i-n+1) ... x_(i-1))        nats per token, negated

P is an interpolated model (:mod:`leadsman.corpus.ngrams.model`) learned on the target. The filter
of CCNet: Wenzek et al., "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data"
(2020), there with a Kneser-Ney model of Wikipedia.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.corpus.kernels.text import texts, token_counts
from leadsman.corpus.ngrams.model import NgramModel
from leadsman.errors import InputError, MethodError
from leadsman.methods import Paper
from leadsman.select.base import Selector


class NgramPerplexity(Selector):
    """Negated loss, nats per token, under an n-gram model of the target.

    Args:
        n: longest n-gram.
        max_tokens: most tokens of the target to learn from; its first ones are taken.

    Attributes:
        model_: the model of the target.

    Raises:
        MethodError: a hyperparameter that cannot be, or ``score`` before ``fit``.
    """

    name = "ngram-perplexity"
    paper = Paper(
        "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data", 2020, None
    )

    def __init__(self, n: int = 3, *, max_tokens: int = 2_000_000) -> None:
        if not 1 <= n <= 16:
            raise MethodError(f"ngram-perplexity: n must be 1 to 16, not {n}")
        if max_tokens < 1:
            raise MethodError(f"ngram-perplexity: max_tokens must be above 0, not {max_tokens}")
        self.n = n
        self.max_tokens = max_tokens
        self.model_: NgramModel | None = None

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Learn the target; ``raw`` and ``seed`` have no effect.

        Raises:
            InputError: the target holds no words, or its first document alone is too long.
        """
        columns, counted = [], 0
        for batch in target.batches(["text"], batch_size=64):
            tokens = int(token_counts(texts(batch)).sum())
            if counted + tokens > self.max_tokens:
                break
            columns.append(texts(batch))
            counted += tokens
        if not counted:
            raise InputError(
                f"holds no words, or more than max_tokens ({self.max_tokens}) in its first "
                f"documents",
                file=target.location,
            )
        self.model_ = NgramModel(self.n)
        for column in columns:
            self.model_.learn(column)
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Negated nats per token, shape (n,); minus infinity for a document without tokens."""
        if self.model_ is None:
            raise MethodError("ngram-perplexity: call fit before score")
        nats, tokens = self.model_.losses(texts(batch))
        scores = np.where(tokens > 0, -nats / np.maximum(tokens, 1), -np.inf)
        return scores.astype(np.float32)
