"""The cheapest stand-in for the model one wants to train: how well does this text teach that?

An interpolated n-gram model of words (:mod:`leadsman.corpus.ngrams.model`) is trained on documents
given by number and answers with nats on every held-out document. All models share one vocabulary,
the words of pool and held-out text, so that each gives every held-out text a probability and
their losses can be compared. Case and white space are not scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.kernels.text import TextColumn, texts
from leadsman.corpus.ngrams.model import NgramModel
from leadsman.corpus.shards.subset import split

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class NgramProxy:
    """Counts n-grams of words.

    Args:
        pool: what is chosen from.
        held_out: what is measured on, in memory.
        n: longest n-gram.

    Attributes:
        sizes: bytes of each held-out document, shape (held-out documents,).
        vocabulary: different words of pool and held-out text.
    """

    def __init__(self, pool: Corpus, held_out: Corpus, *, n: int = 3) -> None:
        self.pool = pool
        self.n = n
        self._held_out = [texts(batch) for batch in held_out.batches(["text"])]
        self.sizes = np.concatenate([column.lengths for column in self._held_out])
        words = NgramModel(1)
        for column in [*self._held_out, *map(texts, pool.batches(["text"]))]:
            words.learn(column)
        self.vocabulary = words.types

    def losses(
        self, masks: Sequence[Mask], *, training_bytes: int | None, seed: int
    ) -> list[Floats]:
        """Nats on each held-out document after training on each set of pool documents.

        Args:
            masks: documents of each set, shape (documents,); one that holds the set before it is
                learned on top of that.
            training_bytes: train on a random part of each set, of about so many bytes.
            seed: of that part.
        """
        if training_bytes is not None:
            masks = [sample_mask(self.pool, mask, training_bytes, seed) for mask in masks]
        results = []
        model = NgramModel(self.n, vocabulary=self.vocabulary)
        learned = np.zeros(self.pool.documents, np.bool_)
        for mask in masks:
            if (learned & ~mask).any():
                model = NgramModel(self.n, vocabulary=self.vocabulary)
                learned = np.zeros_like(learned)
            for column in chosen_texts(self.pool, mask & ~learned):
                model.learn(column)
            learned = mask
            results.append(np.concatenate([model.losses(part)[0] for part in self._held_out]))
        return results


def chosen_batches(pool: Corpus, mask: Mask) -> Iterator[pa.RecordBatch]:
    """The text of chosen documents; shards without any are not read."""
    for shard, wanted in zip(pool.shards, split(pool, mask), strict=True):
        if not wanted.any():
            continue
        start = 0
        for batch in pool.shard_batches(shard, ["text"]):
            here = wanted[start : start + batch.num_rows]
            start += batch.num_rows
            if here.any():
                yield batch.filter(pa.array(here.astype(np.bool_)))


def chosen_texts(pool: Corpus, mask: Mask) -> Iterator[TextColumn]:
    """As :func:`chosen_batches`, ready for the kernels."""
    return map(texts, chosen_batches(pool, mask))


def document_sizes(corpus: Corpus) -> npt.NDArray[np.int64]:
    """Bytes of text of each document, shape (documents,)."""
    return np.concatenate([texts(batch).lengths for batch in corpus.batches(["text"])])


def sample_mask(pool: Corpus, mask: Mask, wanted: int, seed: int) -> Mask:
    """A random part of a set, of about so many bytes; all of it if it holds no more."""
    sizes = document_sizes(pool)
    numbers = np.flatnonzero(mask)
    order = np.random.default_rng([seed, 1]).permutation(numbers)
    within = order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), wanted, side="right")))]
    part = np.zeros_like(mask)
    part[within] = True
    return part
