"""An interpolated n-gram model of tokens, in kernels: the cheapest proxy for a language model.

Witten-Bell smoothing (Witten & Bell 1991): with c(h, w) how often w follows h, c(h) how often h
is followed, and T(h) by how many different tokens,

    P(w | h) = (c(h, w) + T(h) P(w | h')) / (c(h) + T(h)),

h' is h without its first token, and below one token stands 1 / (types + 1), all unseen tokens
being one. That suits documents compared under one model. Models that are compared with each other
must share a base: ``vocabulary`` puts 1 / vocabulary there, else the model that has seen least
gets away with calling most tokens unseen. Losses are nats per token. Tokens are those of
:mod:`leadsman.corpus.kernels.tokens`; n-grams are told apart by 64-bit hashes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.ngram_index import slot
from leadsman.corpus.kernels.text import TextColumn, token_counts
from leadsman.corpus.kernels.tokens import (
    BASE,
    BLOCK,
    Codes,
    Hashes,
    Ints,
    Text,
    carry_over,
    mix,
    next_tokens,
)
from leadsman.errors import MethodError

_FREE = np.uint64(0)
COUNT, FOLLOWED, FOLLOWERS = 0, 1, 2
TOKENS, TYPES, NGRAMS = 0, 1, 2
_SLICE_TOKENS = 1 << 18
"""Tokens learned before the table is looked at again, whether it has room."""


@jit
def _key(hashes: Hashes, first: int, last: int) -> np.uint64:
    """Key of the n-gram of tokens ``first`` to ``last``, both included; never zero."""
    polynomial = np.uint64(0)
    for i in range(first, last + 1):
        polynomial = polynomial * BASE + hashes[i]
    return max(mix(polynomial + np.uint64(last - first)), np.uint64(1))


@jit
def _learn(
    text: Text,
    n: int,
    keys: Hashes,
    table: Codes,
    totals: Ints,
) -> None:
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    for document in range(text.offsets.size - 1):
        position, end, carried = text.offsets[document], text.offsets[document + 1], 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            for i in range(carried, carried + count):
                for order in range(1, min(n, i + 1) + 1):
                    key = _key(hashes, i - order + 1, i)
                    place = slot(keys, key)
                    keys[place] = key
                    fresh = table[place, COUNT] == 0
                    table[place, COUNT] += 1
                    totals[NGRAMS] += fresh
                    if order == 1:
                        totals[TOKENS] += 1
                        totals[TYPES] += fresh
                    else:
                        before = slot(keys, _key(hashes, i - order + 1, i - 1))
                        table[before, FOLLOWED] += 1
                        table[before, FOLLOWERS] += fresh
            carried = carry_over(hashes, carried + count, n - 1)


@jit
def _move(keys: Hashes, table: Codes, new_keys: Hashes, new_table: Codes) -> None:
    """Copy a table into a larger one."""
    for place in range(keys.size):
        if keys[place] != _FREE:
            there = slot(new_keys, keys[place])
            new_keys[there] = keys[place]
            new_table[there] = table[place]


@jit
def _losses(
    text: Text,
    n: int,
    keys: Hashes,
    table: Codes,
    totals: Ints,
    base: float,
    nats: npt.NDArray[np.float64],
    tokens: Ints,
) -> None:
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    for document in range(text.offsets.size - 1):
        position, end, carried = text.offsets[document], text.offsets[document + 1], 0
        total, seen = 0.0, 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            for i in range(carried, carried + count):
                place = slot(keys, _key(hashes, i, i))
                found = table[place, COUNT] if keys[place] != _FREE else 0
                p = (found + totals[TYPES] * base) / (totals[TOKENS] + totals[TYPES])
                for order in range(2, min(n, i + 1) + 1):
                    before = slot(keys, _key(hashes, i - order + 1, i - 1))
                    if keys[before] == _FREE or table[before, FOLLOWED] == 0:
                        break
                    place = slot(keys, _key(hashes, i - order + 1, i))
                    found = table[place, COUNT] if keys[place] != _FREE else 0
                    types = table[before, FOLLOWERS]
                    p = (found + types * p) / (table[before, FOLLOWED] + types)
                total -= np.log(p)
            seen += count
            carried = carry_over(hashes, carried + count, n - 1)
        nats[document] = total
        tokens[document] = seen


class NgramModel:
    """Learns how tokens follow each other; about 50 bytes a different n-gram.

    Args:
        n: longest n-gram.
        vocabulary: types among which unseen probability is shared out; at least those of all
            text that is learned or asked. By default those learned, and one for all others.

    >>> import pyarrow as pa
    >>> model = NgramModel(2)
    >>> model.learn(TextColumn.of(pa.array(["a b a b a b"])))
    >>> nats, tokens = model.losses(TextColumn.of(pa.array(["a b a", "b b b", "c"])))
    >>> bool(nats[0] < nats[1]), tokens.tolist()
    (True, [3, 3, 1])
    """

    def __init__(self, n: int, *, vocabulary: int | None = None) -> None:
        if n < 1:
            raise MethodError(f"n must be at least 1, not {n}")
        self.n = n
        self.vocabulary = vocabulary
        self._keys = np.zeros(16, np.uint64)
        self._table = np.zeros((16, 3), np.int32)
        self._totals = np.zeros(3, np.int64)

    @property
    def tokens(self) -> int:
        """Tokens learned from."""
        return int(self._totals[TOKENS])

    @property
    def types(self) -> int:
        """Different tokens learned."""
        return int(self._totals[TYPES])

    def learn(self, column: TextColumn) -> None:
        """Count the n-grams of a batch of documents."""
        counts = np.cumsum(token_counts(column))
        start = 0
        while start < len(column):
            before = int(counts[start - 1]) if start else 0
            stop = int(np.searchsorted(counts, before + _SLICE_TOKENS, side="right"))
            stop = max(stop, start + 1)
            self._make_room(self.n * (int(counts[stop - 1]) - before))
            part = TextColumn(column.data, column.offsets[start : stop + 1])
            _learn(part.buffers(), self.n, self._keys, self._table, self._totals)
            start = stop

    def losses(self, column: TextColumn) -> tuple[npt.NDArray[np.float64], Ints]:
        """For each document: nats over all its tokens, and its number of tokens.

        Raises:
            MethodError: it has learned nothing yet, or more types than ``vocabulary``.
        """
        if not self.tokens:
            raise MethodError("the model has learned from no token; call learn first")
        types = self.types + 1 if self.vocabulary is None else self.vocabulary
        if types < self.types:
            raise MethodError(f"the model has learned {self.types} types, vocabulary is {types}")
        nats, tokens = np.empty(len(column)), np.empty(len(column), np.int64)
        _losses(
            column.buffers(), self.n, self._keys, self._table,
            self._totals, 1.0 / types, nats, tokens,
        )  # fmt: skip
        return nats, tokens

    def _make_room(self, ngrams: int) -> None:
        """Grow the table so that it stays at most half full with so many new n-grams."""
        places = 1 << (2 * (int(self._totals[NGRAMS]) + ngrams)).bit_length()
        if places > len(self._keys):
            keys, table = np.zeros(places, np.uint64), np.zeros((places, 3), np.int32)
            _move(self._keys, self._table, keys, table)
            self._keys, self._table = keys, table
