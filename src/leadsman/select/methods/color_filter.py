"""CoLoR-Filter: how much learning the target lowers the loss on a document.

    score(x) = (1 / |x|) [ -log P_prior(x) + log P_conditional(x) ]        nats per token

P_prior is a model of raw documents, P_conditional the same model after it has also learned the
target. Brandfonbrener et al., "CoLoR-Filter: Conditional Loss Reduction Filtering for Targeted
Language Model Pre-training" (2024, catalogue 286), there with two language models of 150 million
parameters, here with n-gram models (:mod:`leadsman.corpus.ngrams.model`), of which the second is
the first with the target's counts added. What is easy for both models scores nothing, which is
the difference from perplexity under a model of the target alone.

A prior that has learned a document finds it easy whatever it holds, so no document is scored by a
prior that has seen it: documents fall into two halves by a hash of their text, and each half is
scored by the prior of the other.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.corpus.kernels.text import TextColumn, normalised_hashes, texts, token_counts
from leadsman.corpus.ngrams.model import NgramModel
from leadsman.corpus.shards.estimate import sample_documents
from leadsman.errors import InputError, MethodError
from leadsman.methods import Paper
from leadsman.select.base import Selector


class CoLoRFilter(Selector):
    """Loss reduction by having learned the target, nats per token.

    Args:
        n: longest n-gram.
        max_tokens: most tokens of raw, and of the target, to learn from; documents are drawn at
            random until they are full.

    Attributes:
        prior_, conditional_: two models each, learned on the documents of either half.

    Raises:
        MethodError: a hyperparameter that cannot be, or ``score`` before ``fit``.
    """

    name = "color-filter"
    paper = Paper(
        "CoLoR-Filter: Conditional Loss Reduction Filtering for Targeted Language Model "
        "Pre-training",
        2024,
        286,
    )

    def __init__(self, n: int = 3, *, max_tokens: int = 1_000_000) -> None:
        if not 1 <= n <= 16:
            raise MethodError(f"color-filter: n must be 1 to 16, not {n}")
        if max_tokens < 1:
            raise MethodError(f"color-filter: max_tokens must be above 0, not {max_tokens}")
        self.n = n
        self.max_tokens = max_tokens
        self.prior_: list[NgramModel] = []
        self.conditional_: list[NgramModel] = []

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Learn a sample of raw, drawn with ``seed``, then the target on top of it.

        Raises:
            InputError: one side holds no words.
        """
        known, wanted = (self._sample(corpus, seed) for corpus in (raw, target))
        # One vocabulary for all, or the model that knows more words would pay for it.
        words = NgramModel(1)
        for sample in (known, wanted):
            words.learn(TextColumn.of(sample))
        half = _half(known)
        self.prior_, self.conditional_ = [], []
        for side in (0, 1):
            own = TextColumn.of(known.filter(pa.array(half == side)))
            for models, columns in (
                (self.prior_, [own]),
                (self.conditional_, [own, TextColumn.of(wanted)]),
            ):
                model = NgramModel(self.n, vocabulary=words.types + 1)
                for column in columns:
                    model.learn(column)
                models.append(model)
        if not all(model.tokens for model in self.prior_):
            raise InputError(
                "holds too few different documents to learn from one half and score the other",
                file=raw.location,
            )
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Loss reduction, nats per token, shape (n,); minus infinity without tokens."""
        if not self.prior_:
            raise MethodError("color-filter: call fit before score")
        texts(batch)  # says so if there is no text
        column = batch.column("text")
        half = _half(column)
        scores = np.full(len(column), -np.inf)
        for side in (0, 1):
            mine = half == side
            part = TextColumn.of(column.filter(pa.array(mine)))
            before, tokens = self.prior_[1 - side].losses(part)
            after, _ = self.conditional_[1 - side].losses(part)
            scores[mine] = np.where(tokens > 0, (before - after) / np.maximum(tokens, 1), -np.inf)
        return scores.astype(np.float32)

    def _sample(self, corpus: Corpus, seed: int) -> pa.Array:
        """Documents drawn at random, of at most ``max_tokens`` tokens in all."""
        drawn = np.random.default_rng(seed).permutation(
            sample_documents(corpus, self.max_tokens, seed=seed)
        )
        chosen, filled = [], 0
        for part in np.array_split(drawn, max(1, len(drawn) // 1000)):
            rows = corpus.take(part, ["text"])
            ordered = [rows[number]["text"] for number in part.tolist()]
            counts = token_counts(TextColumn.of(pa.array(ordered, pa.large_string())))
            room = int(np.searchsorted(np.cumsum(counts), self.max_tokens - filled, side="right"))
            chosen += ordered[:room]
            filled += int(counts[:room].sum())
            if room < len(ordered):
                break
        if not filled:
            raise InputError(
                f"holds no words, or more than max_tokens ({self.max_tokens}) in one document",
                file=corpus.location,
            )
        return pa.array(chosen, pa.large_string())


def _half(column: pa.Array) -> npt.NDArray[np.int64]:
    """0 or 1 for each document, by its normalised text."""
    return (normalised_hashes(TextColumn.of(column))[:, 0] & np.uint64(1)).astype(np.int64)
