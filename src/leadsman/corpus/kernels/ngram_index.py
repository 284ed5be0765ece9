"""The n-grams of a target's items: a table on disk that every worker maps and none copies.

    keys.npy     open-addressing table of n-gram hashes (0: free), a power of two of places
    items.npy    the item that has each first; an item's *own* n-grams are those
    own.npy      how many own n-grams each item has
    marks.npy    a Bloom filter in 64-bit words, three bits of one word an n-gram

The filter is 16 bits an n-gram, so it stays in the cache where the table does not: almost every
n-gram of a clean document is told apart by one load. Putze, Sanders and Singler, "Cache-, hash-
and space-efficient Bloom filters" (2007), with blocks of one word.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.kernels.tokens import (
    BLOCK,
    Codes,
    Hashes,
    Ints,
    Text,
    carry_over,
    next_tokens,
    roll,
)
from leadsman.corpus.shards.job import Job

_FREE = np.uint64(0)
_ARRAYS = ("keys", "items", "own", "marks")
_COUNTS = "index/counts.npy"


@jit
def slot(keys: Hashes, key: np.uint64) -> int:
    """Where ``key`` is, or where it would go; ``keys`` has a power of two of places."""
    mask = np.uint64(keys.size - 1)
    place = key & mask
    while keys[place] != _FREE and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    return int(place)


@jit
def is_in(keys: Hashes, key: np.uint64) -> bool:
    """Whether the table has ``key``; it never has the one in 2^64 that means a free place."""
    return bool(keys[slot(keys, key)] != _FREE)


@jit
def marks_of(key: np.uint64) -> np.uint64:
    """The bits of a filter word that stand for ``key``, from its highest 18 bits."""
    one = np.uint64(1)
    low = np.uint64(63)
    return np.uint64(
        (one << (key >> np.uint64(58)))
        | (one << ((key >> np.uint64(52)) & low))
        | (one << ((key >> np.uint64(46)) & low))
    )


@jit
def _insert(
    text: Text,
    n: int,
    first_item: int,
    keys: Hashes,
    items: Codes,
    own: Ints,
    marks: Hashes,
) -> int:
    """Add the n-grams of a batch of items; return how many items had fewer than n tokens."""
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    ngrams = np.empty(BLOCK, dtype=np.uint64)
    word_mask = np.uint64(marks.size - 1)
    short = 0
    for document in range(text.offsets.size - 1):
        position, end, carried, seen = text.offsets[document], text.offsets[document + 1], 0, 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            for i in range(roll(hashes, count, carried, n, ngrams)):
                key = ngrams[i]
                place = slot(keys, key)
                if keys[place] == _FREE and key != _FREE:
                    keys[place] = key
                    items[place] = first_item + document
                    own[first_item + document] += 1
                    marks[key & word_mask] |= marks_of(key)
            seen += count
            carried = carry_over(hashes, carried + count, n - 1)
        short += seen < n
    return short


class NgramIndex:
    """The n-grams of a target's items.

    Args:
        n: tokens in an n-gram.
        items: number of items.
        tokens: tokens in all items together.
    """

    def __init__(self, n: int, items: int, tokens: int) -> None:
        self.n = n
        places = 1 << max(4, int(2 * tokens).bit_length())
        self.keys = np.zeros(places, np.uint64)
        self.items = np.zeros(places, np.int32)
        # The table is at most half full: an eighth of its places in words is 16 bits an n-gram.
        self.marks = np.zeros(places // 8, np.uint64)
        self.own = np.zeros(items, np.int64)
        self.added = 0
        self.short = 0

    def add(self, column: TextColumn) -> None:
        """Index a batch of items."""
        self.short += _insert(
            column.buffers(), self.n, self.added,
            self.keys, self.items, self.own, self.marks,
        )  # fmt: skip
        self.added += len(column)

    def save(self, job: Job) -> None:
        """Keep it among the intermediate results of a job."""
        for name in _ARRAYS:
            job.save(f"index/{name}.npy", getattr(self, name))
        job.save(_COUNTS, np.array([self.n, self.added, self.short]))

    @staticmethod
    def saved(job: Job) -> bool:
        """Whether :meth:`save` was done, to its end."""
        return job.has(_COUNTS)

    @staticmethod
    @lru_cache(maxsize=2)
    def load(job: Job) -> NgramIndex:
        """What was saved, once a process; arrays of a local job are mapped, so processes share."""
        index = NgramIndex(1, 0, 0)
        index.n, index.added, index.short = job.load(_COUNTS).tolist()
        for name in _ARRAYS:
            # A plain view: kernels are compiled once, not again for the type of a mapped array.
            setattr(index, name, np.asarray(job.load(f"index/{name}.npy")))
        return index
