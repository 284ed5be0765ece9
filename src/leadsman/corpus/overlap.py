"""An index of the n-grams of a target, and the search for them in other documents, as kernels.

The index is an open-addressing table from n-gram hash to the target item that has it first; an
item's *own* n-grams are those. Searching a document gives its longest run of matching n-grams
(a shared span of text), the share of its n-grams that match, and the item of which it
holds the largest share of own n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadsman.corpus._jit import jit
from leadsman.corpus.kernels import (
    BLOCK,
    Bytes,
    Codes,
    Hashes,
    Ints,
    carry_over,
    next_tokens,
    roll,
)
from leadsman.corpus.text import TextColumn
from leadsman.corpus.unicode import tables

_FREE = np.uint64(0)


@jit
def slot(keys: Hashes, key: np.uint64) -> int:
    """Where ``key`` is, or where it would go; ``keys`` has a power of two of places."""
    mask = np.uint64(keys.size - 1)
    place = key & mask
    while keys[place] != _FREE and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    return int(place)


@jit
def _insert(
    data: Bytes,
    offsets: Ints,
    classes: Bytes,
    lower: Codes,
    n: int,
    first_item: int,
    keys: Hashes,
    items: Codes,
    own: Ints,
) -> int:
    """Add the n-grams of a batch of items; return how many items had fewer than n tokens."""
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    ngrams = np.empty(BLOCK, dtype=np.uint64)
    short = 0
    for document in range(offsets.size - 1):
        position, end, carried, seen = offsets[document], offsets[document + 1], 0, 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(data, position, end, classes, lower, block, spans)
            for i in range(roll(hashes, count, carried, n, ngrams)):
                key = max(ngrams[i], np.uint64(1))
                place = slot(keys, key)
                if keys[place] == _FREE:
                    keys[place] = key
                    items[place] = first_item + document
                    own[first_item + document] += 1
            seen += count
            carried = carry_over(hashes, carried + count, n - 1)
        short += seen < n
    return short


@jit
def _search(
    data: Bytes,
    offsets: Ints,
    classes: Bytes,
    lower: Codes,
    n: int,
    keys: Hashes,
    items: Codes,
    own: Ints,
    spans: Ints,
    shares: npt.NDArray[np.float32],
    best_item: Ints,
) -> None:
    """For each document: spans (longest run in tokens, its first and last byte), shares
    (of its n-grams that match, of an item's own n-grams), best item or -1."""
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    places = np.empty((n - 1 + BLOCK, 2), dtype=np.int64)
    ngrams = np.empty(BLOCK, dtype=np.uint64)
    for document in range(offsets.size - 1):
        origin, end = offsets[document], offsets[document + 1]
        position = origin
        carried, total, hits, run, run_start = 0, 0, 0, 0, 0
        while position < end:
            count, position = next_tokens(
                data, position, end, classes, lower,
                hashes[carried : carried + BLOCK], places[carried : carried + BLOCK],
            )  # fmt: skip
            found = roll(hashes, count, carried, n, ngrams)
            total += found
            for i in range(found):
                if keys[slot(keys, max(ngrams[i], np.uint64(1)))] == _FREE:
                    run = 0
                    continue
                hits += 1
                if run == 0:
                    run, run_start = n - 1, places[i, 0]
                run += 1
                if run > spans[document, 0]:
                    spans[document, 0] = run
                    spans[document, 1] = run_start - origin
                    spans[document, 2] = places[i + n - 1, 1] - origin
            filled = carried + count
            carried = carry_over(hashes, filled, n - 1)
            for i in range(carried):
                places[i] = places[filled - carried + i]
        if hits:
            owners = _owners(data, origin, end, classes, lower, n, keys, items, hits)
            best_item[document], shares[document, 1] = _largest_share(owners, own)
            shares[document, 0] = hits / total


@jit
def _owners(
    data: Bytes,
    position: int,
    end: int,
    classes: Bytes,
    lower: Codes,
    n: int,
    keys: Hashes,
    items: Codes,
    hits: int,
) -> Codes:
    """Items that own the distinct n-grams of one document that are in the index, sorted."""
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    ngrams = np.empty(BLOCK, dtype=np.uint64)
    places = np.empty(hits, dtype=np.int64)
    carried, filled = 0, 0
    while filled < hits:
        block = hashes[carried : carried + BLOCK]
        count, position = next_tokens(data, position, end, classes, lower, block, spans)
        for i in range(roll(hashes, count, carried, n, ngrams)):
            place = slot(keys, max(ngrams[i], np.uint64(1)))
            if keys[place] != _FREE:
                places[filled] = place
                filled += 1
        carried = carry_over(hashes, carried + count, n - 1)
    return np.sort(items[np.unique(places)])


@jit
def _largest_share(owners: Codes, own: Ints) -> tuple[int, float]:
    """The item with the largest share of its own n-grams among the sorted owners."""
    best, share, run = -1, 0.0, 0
    for i in range(owners.size):
        run += 1
        if i + 1 == owners.size or owners[i + 1] != owners[i]:
            if run / own[owners[i]] > share:
                best, share = int(owners[i]), run / own[owners[i]]
            run = 0
    return best, share


@dataclass(frozen=True)
class Overlap:
    """What a batch of documents shares with the target.

    Attributes:
        longest: tokens in the longest shared span, shape (n,).
        begin, end: its place in the document, bytes, shape (n,).
        share_of_document: share of the document's n-grams that the target has, shape (n,).
        share_of_item: largest share of one item's own n-grams that it holds, shape (n,).
        item: number of that item, -1 if nothing is shared, shape (n,).
    """

    longest: Ints
    begin: Ints
    end: Ints
    share_of_document: npt.NDArray[np.float32]
    share_of_item: npt.NDArray[np.float32]
    item: Ints


class TargetIndex:
    """The n-grams of a target's items.

    Args:
        n: tokens in an n-gram.
        items: number of items.
        tokens: tokens in all items together.
    """

    def __init__(self, n: int, items: int, tokens: int) -> None:
        self.n = n
        places = 1 << max(4, int(2 * tokens).bit_length())
        self._keys = np.zeros(places, np.uint64)
        self._items = np.zeros(places, np.int32)
        self.own = np.zeros(items, np.int64)
        self.added = 0
        self.short = 0

    def add(self, column: TextColumn) -> None:
        """Index a batch of items."""
        self.short += _insert(
            column.data, column.offsets, *tables(), self.n, self.added,
            self._keys, self._items, self.own,
        )  # fmt: skip
        self.added += len(column)

    def search(self, column: TextColumn) -> Overlap:
        """What each document of a batch shares with the target."""
        size = len(column)
        spans, item = np.zeros((size, 3), np.int64), np.full(size, -1, np.int64)
        shares = np.zeros((size, 2), np.float32)
        _search(
            column.data, column.offsets, *tables(), self.n,
            self._keys, self._items, self.own, spans, shares, item,
        )  # fmt: skip
        return Overlap(spans[:, 0], spans[:, 1], spans[:, 2], shares[:, 0], shares[:, 1], item)
