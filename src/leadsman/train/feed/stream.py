"""The order in which a run reads its data: a pure function of seed, mixture and token sets.

Sequence ``n`` comes from the source furthest behind its share, ``argmax_s w_s (n + 1) - drawn_s``,
so the proportions are exact to one sequence at every point of the run. Within a source, each
epoch cuts the tokens into contiguous windows at its own random offset and visits them in its own
random order, the same whatever the mixture. Nothing is kept between calls that a restart needs:
any batch can be asked for by its number.

Windows are cut without regard to document ends; the end-of-text token separates documents, and
with ``packing: documents`` attention does not cross it (:mod:`leadsman.train.model`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from leadsman.errors import InputError
from leadsman.runs import Mixture
from leadsman.train.feed.source import checked_source, name_key
from leadsman.train.tokens import TokenSet

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Feed:
    """Training sequences by number.

    Args:
        sources: token set of each source; those without weight are not read.
        mixture: share of each source.
        seq_len: tokens a sequence trains on; one more is read for the last target.
        vocab_size: of the model.
        seed: of the order.

    Raises:
        InputError: the mixture names a source that is not there, a source is shorter than two
            sequences, or its tokens do not fit the vocabulary.
    """

    def __init__(
        self,
        sources: Mapping[str, TokenSet],
        mixture: Mixture,
        *,
        seq_len: int,
        vocab_size: int,
        seed: int,
    ) -> None:
        self.names = [name for name, weight in mixture.weights.items() if weight > 0]
        self.seq_len = seq_len
        self._weights = np.array([mixture.weights[name] for name in self.names])
        self._streams = []
        for name in self.names:
            tokens = checked_source(sources, name, mixture, vocab_size=vocab_size)
            self._streams.append(_Stream(name, tokens, seq_len, seed))
        self._choices = np.empty(0, dtype=np.int64)
        self._ranks = np.empty(0, dtype=np.int64)
        self._drawn = np.zeros(len(self.names), dtype=np.int64)

    def sequences(self, start: int, count: int) -> NDArray[np.int64]:
        """Sequences ``start`` to ``start + count``, ``[count, seq_len + 1]``."""
        self._extend(start + count)
        rows = [
            self._streams[self._choices[n]].window(int(self._ranks[n]))
            for n in range(start, start + count)
        ]
        return np.stack(rows)

    def sources_of(self, start: int, count: int) -> list[str]:
        """The source of each of these sequences."""
        self._extend(start + count)
        return [self.names[choice] for choice in self._choices[start : start + count]]

    def epochs(self, sequences: int) -> dict[str, float]:
        """Passes over each source after that many sequences (tokens drawn / tokens there are)."""
        self._extend(sequences)
        drawn = np.bincount(self._choices[:sequences], minlength=len(self.names))
        return {
            name: float(count * self.seq_len / len(stream.tokens))
            for name, count, stream in zip(self.names, drawn, self._streams, strict=True)
        }

    def _extend(self, sequences: int) -> None:
        known = len(self._choices)
        if sequences <= known:
            return
        total = max(sequences, 2 * known, 1024)
        choices = np.empty(total, dtype=np.int64)
        ranks = np.empty(total, dtype=np.int64)
        choices[:known], ranks[:known] = self._choices, self._ranks
        for n in range(known, total):
            source = int(np.argmax(self._weights * (n + 1) - self._drawn))
            choices[n], ranks[n] = source, self._drawn[source]
            self._drawn[source] += 1
        self._choices, self._ranks = choices, ranks


class _Stream:
    """The windows of one source, epoch after epoch."""

    def __init__(self, name: str, tokens: TokenSet, seq_len: int, seed: int) -> None:
        self.tokens, self.seq_len = tokens, seq_len
        self.windows = len(tokens) // seq_len - 1
        if self.windows < 1:
            raise InputError(
                f"{name!r} has {len(tokens)} tokens; two sequences of {seq_len} are the least",
                file=tokens.path,
            )
        self._key = [seed, name_key(name)]
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def window(self, rank: int) -> NDArray[np.int64]:
        epoch, place = divmod(rank, self.windows)
        offset, order = self._order(epoch)
        return self.tokens.read(offset + int(order[place]) * self.seq_len, self.seq_len + 1)

    def _draw_order(self, epoch: int) -> tuple[int, NDArray[np.int64]]:
        generator = np.random.default_rng([*self._key, epoch])
        offset = int(generator.integers(self.seq_len))
        return offset, generator.permutation(self.windows)
