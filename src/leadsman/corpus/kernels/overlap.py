"""The search for a target's n-grams in other documents, as kernels.

A document's longest run of matching n-grams is a shared span of text; beside it, the share of its
n-grams that match, and the item of which it holds the largest share of own n-grams
(:mod:`leadsman.corpus.kernels.ngram_index`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.ngram_index import NgramIndex, is_in, marks_of, slot
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


@jit
def _search(
    text: Text,
    n: int,
    keys: Hashes,
    items: Codes,
    own: Ints,
    marks: Hashes,
    spans: Ints,
    shares: npt.NDArray[np.float32],
    best_item: Ints,
) -> None:
    """For each document: spans (longest run in tokens, its first and last byte, n-grams in all),
    shares (of its n-grams that match, of an item's own n-grams), best item or -1."""
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    places = np.empty((n - 1 + BLOCK, 2), dtype=np.int64)
    ngrams = np.empty(BLOCK, dtype=np.uint64)
    marked = np.empty(BLOCK, dtype=np.bool_)
    for document in range(text.offsets.size - 1):
        origin, end = text.offsets[document], text.offsets[document + 1]
        position = origin
        carried, total, hits, run, run_start = 0, 0, 0, 0, 0
        while position < end:
            count, position = next_tokens(
                text, position, end,
                hashes[carried : carried + BLOCK], places[carried : carried + BLOCK],
            )  # fmt: skip
            found = roll(hashes, count, carried, n, ngrams)
            total += found
            if not _look_up(ngrams, found, marks, marked):
                run = 0
                found = 0
            for i in range(found):
                if not (marked[i] and is_in(keys, ngrams[i])):
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
        spans[document, 3] = total
        if hits:
            owners = _owners(text, origin, end, n, keys, items, hits)
            best_item[document], shares[document, 1] = _largest_share(owners, own)
            shares[document, 0] = hits / total


@jit
def _look_up(ngrams: Hashes, count: int, marks: Hashes, marked: npt.NDArray[np.bool_]) -> bool:
    """Which n-grams of a block the filter lets pass, and whether any does."""
    # A loop of its own: without a branch between them the loads overlap.
    mask = np.uint64(marks.size - 1)
    some = False
    for i in range(count):
        bits = marks_of(ngrams[i])
        marked[i] = marks[ngrams[i] & mask] & bits == bits
        some |= marked[i]
    return some


@jit
def _owners(
    text: Text,
    position: int,
    end: int,
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
        count, position = next_tokens(text, position, end, block, spans)
        for i in range(roll(hashes, count, carried, n, ngrams)):
            if is_in(keys, ngrams[i]):
                places[filled] = slot(keys, ngrams[i])
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
        ngrams: number of n-grams in the document, with repeats, shape (n,).
    """

    longest: Ints
    begin: Ints
    end: Ints
    share_of_document: npt.NDArray[np.float32]
    share_of_item: npt.NDArray[np.float32]
    item: Ints
    ngrams: Ints


def search(column: TextColumn, index: NgramIndex) -> Overlap:
    """What each document of a batch shares with the target."""
    size = len(column)
    spans, item = np.zeros((size, 4), np.int64), np.full(size, -1, np.int64)
    shares = np.zeros((size, 2), np.float32)
    _search(
        column.buffers(), index.n,
        index.keys, index.items, index.own, index.marks, spans, shares, item,
    )  # fmt: skip
    longest, begin, end, ngrams = spans.T
    return Overlap(longest, begin, end, shares[:, 0], shares[:, 1], item, ngrams)
