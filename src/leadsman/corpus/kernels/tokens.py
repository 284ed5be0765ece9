"""The hot loops: tokens and n-grams straight from Arrow buffers, no Python object a document.

A kernel takes a :class:`Text`. What is not UTF-8 is read as U+FFFD, byte by byte, and never past
the end of its document.

Hashes are 64-bit and the same on every machine. A token is hashed over its lower-cased code
points (FNV-1a, then the finaliser of SplitMix64); an n-gram over its tokens as a polynomial,
sum_i token_i B^(n-1-i) mod 2^64, which rolls in constant time for any n.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.unicode import MARK, SINGLE, SPACE, WORD

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

FNV_START = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
BASE = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_REPLACEMENT = 0xFFFD
BLOCK = 1024
"""Tokens in a block: small enough that hashes and places stay in the first cache."""


class Text(NamedTuple):
    """The buffers of a text column, and what characters are.

    Attributes:
        data: UTF-8 of all documents one after the other.
        offsets: where each begins and ends in ``data``, shape (n + 1,).
        classes, lower: the tables of :mod:`leadsman.corpus.kernels.unicode`.
    """

    data: Bytes
    offsets: Ints
    classes: Bytes
    lower: Codes


@jit
def mix(value: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every input bit reaches every output bit."""
    value = (value ^ (value >> np.uint64(30))) * MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@jit
def decode(data: Bytes, position: int, end: int) -> tuple[int, int]:
    """Code point at ``position`` and its width in bytes; (U+FFFD, 1) where there is none."""
    first = int(data[position])
    if first < 0x80:
        return first, 1
    if first < 0xC2 or first > 0xF4:
        return _REPLACEMENT, 1
    width = 2 + (first >= 0xE0) + (first >= 0xF0)
    if position + width > end:
        return _REPLACEMENT, 1
    code = first & (0x7F >> width)
    for step in range(1, width):
        byte = int(data[position + step])
        if byte & 0xC0 != 0x80:
            return _REPLACEMENT, 1
        code = (code << 6) | (byte & 0x3F)
    if (
        (width == 3 and code < 0x800)
        or (width == 4 and code < 0x10000)
        or code > 0x10FFFF
        or (0xD800 <= code < 0xE000)
    ):
        return _REPLACEMENT, 1
    return code, width


@jit
def next_tokens(text: Text, position: int, end: int, out: Hashes, spans: Ints) -> tuple[int, int]:
    """Read tokens until ``end``, or until ``out`` is full.

    Writes the hash of each to ``out`` and its (start, end) to ``spans``, shape (len(out), 2);
    returns how many, and where to go on. A document is read in blocks of tokens, so that the
    loops over n-grams have no text and no branches in them.
    """
    count, start, kind, value = 0, position, SPACE, np.uint64(0)
    while position < end:
        code, width = int(text.data[position]), 1
        if code >= 0x80:
            code, width = decode(text.data, position, end)
        group = int(text.classes[code])
        begins = group == SINGLE
        if group == MARK:
            group = WORD if kind == SPACE else kind
        if group != kind or begins:
            if kind != SPACE:
                out[count] = mix(value)
                spans[count, 0] = start
                spans[count, 1] = position
                count += 1
                if count == out.size:
                    return count, position
            kind, start, value = group, position, FNV_START
        value = (value ^ np.uint64(text.lower[code])) * FNV_PRIME
        position += width
    if kind != SPACE:
        out[count] = mix(value)
        spans[count, 0] = start
        spans[count, 1] = position
        count += 1
    return count, position


@jit
def power_of_base(exponent: int) -> np.uint64:
    """B to the ``exponent`` mod 2^64."""
    value = np.uint64(1)
    for _ in range(exponent):
        value *= BASE
    return value


@jit
def bucket_of(polynomial: np.uint64, order: int, buckets: np.uint64) -> int:
    """Bucket of an n-gram (``order`` is n - 1), by the high bits of its mixed hash."""
    value = mix(polynomial + np.uint64(order))
    return int(((value >> np.uint64(32)) * buckets) >> np.uint64(32))


@jit
def _prefix_buckets(
    hashes: Hashes, count: int, carried: int, order: int, buckets: np.uint64, out: Ints
) -> int:
    """Buckets of the n-grams of one order that end in a block; ``hashes`` begins with the
    ``carried`` tokens before the block."""
    found = 0
    for last in range(max(carried, order), carried + count):
        polynomial = np.uint64(0)
        for k in range(last - order, last + 1):
            polynomial = polynomial * BASE + hashes[k]
        out[found] = bucket_of(polynomial, order, buckets)
        found += 1
    return found


@jit
def count_ngrams(text: Text, n: int, counts: Ints) -> int:
    """Add the hashed 1- to n-grams of all documents to ``counts``; return how many there were."""
    size = np.uint64(counts.size)
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    buckets = np.empty(BLOCK, dtype=np.int64)
    total = 0
    for document in range(text.offsets.size - 1):
        position, end, carried = text.offsets[document], text.offsets[document + 1], 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            for order in range(n):
                found = _prefix_buckets(hashes, count, carried, order, size, buckets)
                for i in range(found):
                    counts[buckets[i]] += 1
                total += found
            carried = carry_over(hashes, carried + count, n - 1)
    return total


@jit
def list_ngrams(
    text: Text,
    n: int,
    buckets: int,
    indices: Ints,
    ends: Ints,
) -> None:
    """Write the buckets of each document's 1- to n-grams, with repeats, and where each ends."""
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    filled = 0
    for document in range(text.offsets.size - 1):
        position, end, carried = text.offsets[document], text.offsets[document + 1], 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            for order in range(n):
                filled += _prefix_buckets(
                    hashes, count, carried, order, np.uint64(buckets), indices[filled:]
                )
            carried = carry_over(hashes, carried + count, n - 1)
        ends[document] = filled


@jit
def carry_over(hashes: Hashes, filled: int, wanted: int) -> int:
    """Move the last ``wanted`` tokens to the front, for n-grams that reach into the next block."""
    kept = min(filled, wanted)
    for i in range(kept):
        hashes[i] = hashes[filled - kept + i]
    return kept


@jit
def roll(hashes: Hashes, count: int, carried: int, n: int, out: Hashes) -> int:
    """Hashes of the n-grams that end in a block of ``count`` tokens; return how many.

    ``hashes`` holds the ``carried`` tokens before the block, then the block.
    """
    filled = carried + count
    if filled < n:
        return 0
    oldest = power_of_base(n)
    polynomial = np.uint64(0)
    for i in range(n):
        polynomial = polynomial * BASE + hashes[i]
    out[0] = mix(polynomial)
    for i in range(n, filled):
        polynomial = polynomial * BASE + hashes[i] - hashes[i - n] * oldest
        out[i - n + 1] = mix(polynomial)
    return filled - n + 1


@jit
def sum_ngrams(
    text: Text,
    n: int,
    weights: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    totals: Ints,
) -> None:
    """Sum of ``weights`` over the hashed 1- to n-grams of each document, and how many it has."""
    size = np.uint64(weights.size)
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    buckets = np.empty(BLOCK, dtype=np.int64)
    for document in range(text.offsets.size - 1):
        position, end, carried = text.offsets[document], text.offsets[document + 1], 0
        total, subtotal = 0, 0.0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            for order in range(n):
                found = _prefix_buckets(hashes, count, carried, order, size, buckets)
                for i in range(found):
                    subtotal += weights[buckets[i]]
                total += found
            carried = carry_over(hashes, carried + count, n - 1)
        sums[document] = subtotal
        totals[document] = total


@jit
def normalised_hashes(text: Text, out: Hashes) -> None:
    """Two independent 64-bit hashes of each document's normalised text, ``out`` shape (n, 2).

    Normalised: lower case, runs of white space as one space, none at either end.
    """
    for document in range(text.offsets.size - 1):
        position, end = text.offsets[document], text.offsets[document + 1]
        one, two = FNV_START, BASE
        pending, empty = False, True
        while position < end:
            code, width = decode(text.data, position, end)
            position += width
            if text.classes[code] == SPACE:
                pending = not empty
                continue
            if pending:
                one = (one ^ np.uint64(32)) * FNV_PRIME
                two = (two + np.uint64(32)) * MIX_1
                two ^= two >> np.uint64(29)
                pending = False
            one = (one ^ np.uint64(text.lower[code])) * FNV_PRIME
            two = (two + np.uint64(text.lower[code])) * MIX_1
            two ^= two >> np.uint64(29)
            empty = False
        out[document, 0] = mix(one)
        out[document, 1] = mix(two)


@jit
def count_tokens(text: Text, out: Ints) -> None:
    """Tokens (words, symbol runs, characters of scripts without spaces) in each document."""
    hashes = np.empty(BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    for document in range(text.offsets.size - 1):
        position, end, total = text.offsets[document], text.offsets[document + 1], 0
        while position < end:
            count, position = next_tokens(text, position, end, hashes, spans)
            total += count
        out[document] = total
