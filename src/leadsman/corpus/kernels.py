"""The hot loops: tokens and n-grams straight from Arrow buffers, no Python object a document.

A kernel takes the buffers of a text column (``data`` uint8, ``offsets`` int64 of shape (n + 1,))
and the tables of :mod:`leadsman.corpus.unicode`. Text that is not UTF-8 is read as U+FFFD, byte
by byte, and never past the end of its document.

Hashes are 64-bit and the same on every machine. A token is hashed over its lower-cased code
points (FNV-1a, then the finaliser of SplitMix64); an n-gram over its tokens as a polynomial,
sum_i token_i B^(n-1-i) mod 2^64, which rolls in constant time for any n.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leadsman.corpus._jit import jit
from leadsman.corpus.unicode import MARK, SINGLE, SPACE, WORD

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

_FNV_START = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_REPLACEMENT = 0xFFFD


@jit
def mix(value: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every input bit reaches every output bit."""
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
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
def next_token(
    data: Bytes, position: int, end: int, classes: Bytes, lower: Codes
) -> tuple[np.uint64, int, int]:
    """Hash, start and end of the first token at or after ``position``; start = end if none."""
    code, width, kind = 0, 0, SPACE
    while position < end:
        code, width = decode(data, position, end)
        kind = int(classes[code])
        if kind != SPACE:
            break
        position += width
    if position >= end:
        return np.uint64(0), end, end
    start = position
    if kind == MARK:
        kind = WORD
    value = (_FNV_START ^ np.uint64(lower[code])) * _FNV_PRIME
    position += width
    while position < end:
        code, width = int(data[position]), 1
        if code >= 0x80:
            code, width = decode(data, position, end)
        group = int(classes[code])
        if group != MARK and (group != kind or kind == SINGLE):
            break
        value = (value ^ np.uint64(lower[code])) * _FNV_PRIME
        position += width
    return mix(value), start, position


@jit
def power_of_base(exponent: int) -> np.uint64:
    """B to the ``exponent`` mod 2^64."""
    value = np.uint64(1)
    for _ in range(exponent):
        value *= _BASE
    return value


@jit
def token_hashes(
    data: Bytes, start: int, end: int, classes: Bytes, lower: Codes, out: Hashes, spans: Ints
) -> int:
    """Write hash and (start, end) of each token of one document; return how many there are.

    ``out`` and ``spans`` (shape (m, 2)) must hold ``end - start`` tokens.
    """
    count = 0
    position = start
    while True:
        value, first, position = next_token(data, position, end, classes, lower)
        if first == position:
            return count
        out[count] = value
        spans[count, 0] = first
        spans[count, 1] = position
        count += 1


@jit
def count_ngrams(
    data: Bytes, offsets: Ints, classes: Bytes, lower: Codes, n: int, counts: Ints
) -> int:
    """Add the hashed 1- to n-grams of all documents to ``counts``; return how many there were."""
    buckets = np.uint64(counts.size)
    window = np.zeros(n, dtype=np.uint64)
    total = 0
    for document in range(offsets.size - 1):
        position, end = offsets[document], offsets[document + 1]
        seen = 0
        while True:
            value, first, position = next_token(data, position, end, classes, lower)
            if first == position:
                break
            seen += 1
            # window[k] is the polynomial of the k + 1 tokens that end here.
            for k in range(min(seen, n) - 1, 0, -1):
                window[k] = window[k - 1] * _BASE + value
            window[0] = value
            for k in range(min(seen, n)):
                counts[bucket_of(window[k], k, buckets)] += 1
            total += min(seen, n)
    return total


@jit
def bucket_of(polynomial: np.uint64, order: int, buckets: np.uint64) -> int:
    """Bucket of an n-gram (``order`` is n - 1), by the high bits of its mixed hash."""
    value = mix(polynomial + np.uint64(order))
    return int(((value >> np.uint64(32)) * buckets) >> np.uint64(32))


@jit
def sum_ngrams(
    data: Bytes,
    offsets: Ints,
    classes: Bytes,
    lower: Codes,
    n: int,
    weights: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    totals: Ints,
) -> None:
    """Sum of ``weights`` over the hashed 1- to n-grams of each document, and how many it has."""
    buckets = np.uint64(weights.size)
    window = np.zeros(n, dtype=np.uint64)
    for document in range(offsets.size - 1):
        position, end = offsets[document], offsets[document + 1]
        seen, total, subtotal = 0, 0, 0.0
        while True:
            value, first, position = next_token(data, position, end, classes, lower)
            if first == position:
                break
            seen += 1
            for k in range(min(seen, n) - 1, 0, -1):
                window[k] = window[k - 1] * _BASE + value
            window[0] = value
            for k in range(min(seen, n)):
                subtotal += weights[bucket_of(window[k], k, buckets)]
            total += min(seen, n)
        sums[document] = subtotal
        totals[document] = total


@jit
def normalised_hashes(
    data: Bytes, offsets: Ints, classes: Bytes, lower: Codes, out: Hashes
) -> None:
    """Two independent 64-bit hashes of each document's normalised text, ``out`` shape (n, 2).

    Normalised: lower case, runs of white space as one space, none at either end.
    """
    for document in range(offsets.size - 1):
        position, end = offsets[document], offsets[document + 1]
        one, two = _FNV_START, _BASE
        pending, empty = False, True
        while position < end:
            code, width = decode(data, position, end)
            position += width
            if classes[code] == SPACE:
                pending = not empty
                continue
            if pending:
                one = (one ^ np.uint64(32)) * _FNV_PRIME
                two = (two + np.uint64(32)) * _MIX_1
                two ^= two >> np.uint64(29)
                pending = False
            one = (one ^ np.uint64(lower[code])) * _FNV_PRIME
            two = (two + np.uint64(lower[code])) * _MIX_1
            two ^= two >> np.uint64(29)
            empty = False
        out[document, 0] = mix(one)
        out[document, 1] = mix(two)


@jit
def count_tokens(data: Bytes, offsets: Ints, classes: Bytes, lower: Codes, out: Ints) -> None:
    """Tokens (words, symbol runs, characters of scripts without spaces) in each document."""
    for document in range(offsets.size - 1):
        position, end = offsets[document], offsets[document + 1]
        count = 0
        while True:
            _, first, position = next_token(data, position, end, classes, lower)
            if first == position:
                break
            count += 1
        out[document] = count
