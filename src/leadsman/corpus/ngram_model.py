"""An interpolated n-gram model of tokens, in kernels: the cheapest proxy for a language model.

Witten-Bell smoothing (Witten & Bell 1991): with c(h, w) how often w follows h, c(h) how often h
is followed, and T(h) by how many different tokens,

    P(w | h) = (c(h, w) + T(h) P(w | h')) / (c(h) + T(h)),

h' is h without its first token, and below one token stands 1 / (types + 1). Losses are nats per
token. Tokens are those of :mod:`leadsman.corpus.kernels`; n-grams are told apart by 64-bit hashes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leadsman.corpus._jit import jit
from leadsman.corpus.kernels import (
    _BASE,
    BLOCK,
    Bytes,
    Codes,
    Hashes,
    Ints,
    carry_over,
    mix,
    next_tokens,
)
from leadsman.corpus.ngram_index import slot
from leadsman.corpus.text import TextColumn
from leadsman.corpus.unicode import tables
from leadsman.errors import MethodError

_FREE = np.uint64(0)
COUNT, FOLLOWED, FOLLOWERS = 0, 1, 2


@jit
def _key(hashes: Hashes, first: int, last: int) -> np.uint64:
    """Key of the n-gram of tokens ``first`` to ``last``, both included; never zero."""
    polynomial = np.uint64(0)
    for i in range(first, last + 1):
        polynomial = polynomial * _BASE + hashes[i]
    return max(mix(polynomial + np.uint64(last - first)), np.uint64(1))


@jit
def _learn(
    data: Bytes,
    offsets: Ints,
    classes: Bytes,
    lower: Codes,
    n: int,
    keys: Hashes,
    table: Codes,
    totals: Ints,
) -> None:
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    for document in range(offsets.size - 1):
        position, end, carried = offsets[document], offsets[document + 1], 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(data, position, end, classes, lower, block, spans)
            for i in range(carried, carried + count):
                for order in range(1, min(n, i + 1) + 1):
                    key = _key(hashes, i - order + 1, i)
                    place = slot(keys, key)
                    keys[place] = key
                    fresh = table[place, COUNT] == 0
                    table[place, COUNT] += 1
                    if order == 1:
                        totals[0] += 1
                        totals[1] += fresh
                    else:
                        before = slot(keys, _key(hashes, i - order + 1, i - 1))
                        table[before, FOLLOWED] += 1
                        table[before, FOLLOWERS] += fresh
            carried = carry_over(hashes, carried + count, n - 1)


@jit
def _losses(
    data: Bytes,
    offsets: Ints,
    classes: Bytes,
    lower: Codes,
    n: int,
    keys: Hashes,
    table: Codes,
    totals: Ints,
    nats: npt.NDArray[np.float64],
    tokens: Ints,
) -> None:
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    for document in range(offsets.size - 1):
        position, end, carried = offsets[document], offsets[document + 1], 0
        total, seen = 0.0, 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(data, position, end, classes, lower, block, spans)
            for i in range(carried, carried + count):
                place = slot(keys, _key(hashes, i, i))
                found = table[place, COUNT] if keys[place] != _FREE else 0
                p = (found + totals[1] / (totals[1] + 1)) / (totals[0] + totals[1])
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
    """Learns how tokens follow each other.

    Args:
        n: longest n-gram.
        tokens: most tokens it will learn from; sets the size of its table, about
            24 n bytes a token.

    >>> import pyarrow as pa
    >>> model = NgramModel(2, tokens=100)
    >>> model.learn(TextColumn.of(pa.array(["a b a b a b"])))
    >>> nats, tokens = model.losses(TextColumn.of(pa.array(["a b a", "b b b", "c"])))
    >>> bool(nats[0] < nats[1]), tokens.tolist()
    (True, [3, 3, 1])
    """

    def __init__(self, n: int, *, tokens: int) -> None:
        if n < 1:
            raise MethodError(f"n must be at least 1, not {n}")
        places = 1 << max(4, (2 * n * tokens).bit_length())
        self.n = n
        self.capacity = tokens
        self._keys = np.zeros(places, np.uint64)
        self._table = np.zeros((places, 3), np.int32)
        self._totals = np.zeros(2, np.int64)

    @property
    def tokens(self) -> int:
        """Tokens learned from."""
        return int(self._totals[0])

    def learn(self, column: TextColumn) -> None:
        """Count the n-grams of a batch of documents.

        Raises:
            MethodError: that would be more tokens than the model was made for.
        """
        _learn(
            column.data, column.offsets, *tables(), self.n, self._keys, self._table, self._totals
        )
        if self.tokens > self.capacity:
            raise MethodError(
                f"the model was made for {self.capacity} tokens and has seen {self.tokens}"
            )

    def losses(self, column: TextColumn) -> tuple[npt.NDArray[np.float64], Ints]:
        """For each document: nats over all its tokens, and its number of tokens.

        Raises:
            MethodError: it has learned nothing yet.
        """
        if not self.tokens:
            raise MethodError("the model has learned from no token; call learn first")
        nats, tokens = np.empty(len(column)), np.empty(len(column), np.int64)
        _losses(
            column.data, column.offsets, *tables(), self.n, self._keys, self._table,
            self._totals, nats, tokens,
        )  # fmt: skip
        return nats, tokens
