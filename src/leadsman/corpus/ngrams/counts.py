"""Hashed n-gram counts of a corpus, and how far two such distributions are apart."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from leadsman.corpus.corpus import Corpus, Shard
from leadsman.corpus.kernels.text import ngram_counts, texts
from leadsman.engine import Engine, ThreadEngine

Counts = npt.NDArray[np.int64]


def hashed_counts(
    corpus: Corpus, *, n: int = 2, buckets: int = 10_000, engine: Engine | None = None
) -> Counts:
    """How often each hashed 1- to n-gram occurs in a corpus, shape (buckets,).

    >>> import tempfile
    >>> from leadsman.corpus import write_corpus
    >>> corpus = write_corpus(tempfile.mkdtemp(), [{"text": "a b a"}])
    >>> int(hashed_counts(corpus).sum())  # a, b, a, "a b", "b a"
    5
    """
    counts = np.zeros(buckets, np.int64)
    function = partial(_count, corpus=corpus, n=n, buckets=buckets)
    for _, part in (engine or ThreadEngine()).map(function, corpus.shards):
        counts += part
    return counts


def _count(shard: Shard, *, corpus: Corpus, n: int, buckets: int) -> Counts:
    counts = np.zeros(buckets, np.int64)
    for batch in corpus.shard_batches(shard, ["text"]):
        ngram_counts(texts(batch), n=n, counts=counts)
    return counts


def source_counts(corpus: Corpus, *, n: int = 2, buckets: int = 10_000) -> dict[str, Counts]:
    """As :func:`hashed_counts`, for each source by name."""
    counts = {name: np.zeros(buckets, np.int64) for name in corpus.sources}
    for batch in corpus.batches(["text", "source"]):
        column = batch.column("source")
        for name in pc.unique(column).to_pylist():
            part = batch.filter(pc.equal(column, name))
            ngram_counts(texts(part), n=n, counts=counts[name])
    return counts


def smoothed(counts: Counts, smoothing: float = 1e-8) -> npt.NDArray[np.float64]:
    """Probability of each bucket with ``smoothing`` added, scaled to sum to 1."""
    probabilities = counts / max(int(counts.sum()), 1) + smoothing
    return np.asarray(probabilities / probabilities.sum())


def kl_divergence(counts: Counts, other: Counts) -> float:
    """KL(counts || other) in nats, both smoothed."""
    p, q = smoothed(counts), smoothed(other)
    return float(np.sum(p * np.log(p / q)))


def kl_reduction(target: Counts, raw: Counts, selected: Counts) -> float:
    """KL(target || raw) - KL(target || selected), nats: how much nearer the selection is."""
    return kl_divergence(target, raw) - kl_divergence(target, selected)
