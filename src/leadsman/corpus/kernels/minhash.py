"""MinHash signatures, LSH bands, union-find and true Jaccard, as kernels.

A document is the set of its shingles: the hashed n-grams of its tokens (one n-gram of all its
tokens if it has fewer than n; none if it has no token). Component k of the signature is
min over shingles x of (a_k x + b_k mod 2^32) with odd a_k; two documents agree in a component
with probability close to their Jaccard similarity |A & B| / |A | B|. Broder, "On the resemblance
and containment of documents" (1997). Cut into b bands of r rows, they share a band with
probability 1 - (1 - J^r)^b.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.ngram_index import slot
from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.kernels.tokens import (
    BASE,
    BLOCK,
    MIX_1,
    Hashes,
    Ints,
    Text,
    carry_over,
    mix,
    next_tokens,
    roll,
)

Signatures = npt.NDArray[np.uint32]
_EMPTY = np.uint32(0xFFFFFFFF)


@jit
def _whole(hashes: Hashes, count: int) -> np.uint64:
    """Hash of all tokens of a document that has too few for an n-gram."""
    polynomial = np.uint64(0)
    for i in range(count):
        polynomial = polynomial * BASE + hashes[i]
    return mix(polynomial)


@jit
def _sign(
    text: Text,
    n: int,
    a: Signatures,
    b: Signatures,
    out: Signatures,
    identities: Hashes,
) -> None:
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    shingles = np.empty(BLOCK, dtype=np.uint64)
    high = np.empty(BLOCK, dtype=np.uint32)
    for document in range(text.offsets.size - 1):
        position, end = text.offsets[document], text.offsets[document + 1]
        out[document] = _EMPTY
        carried, seen, before = 0, 0, end
        one, two = np.uint64(0), BASE
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            one, two, before = _identify(block, spans, count, before, one, two)
            found = roll(hashes, count, carried, n, shingles)
            seen += count
            if position >= end and 0 < seen < n:
                shingles[0] = _whole(hashes, seen)
                found = 1
            for i in range(found):
                high[i] = np.uint32(shingles[i] >> np.uint64(32))
            _lower(high, found, a, b, out[document])
            carried = carry_over(hashes, carried + count, n - 1)
        identities[document, 0] = mix(one)
        identities[document, 1] = mix(two)


@jit
def _identify(
    block: Hashes, spans: Ints, count: int, before: int, one: np.uint64, two: np.uint64
) -> tuple[np.uint64, np.uint64, int]:
    """Go on with two hashes of the tokens and of where white space is between them.

    These are equal where the normalised text is: tokens follow from it, and it from them.
    """
    for i in range(count):
        value = block[i] + np.uint64(spans[i, 0] > before)
        before = spans[i, 1]
        one = (one + value) * BASE
        two = (two ^ value) * MIX_1
        two ^= two >> np.uint64(29)
    return one, two, before


@jit
def _lower(
    block: Signatures, count: int, a: Signatures, b: Signatures, signature: Signatures
) -> None:
    # Shingles inside, permutations outside: so the compiler works on eight at once.
    for k in range(a.size):
        multiplier, offset, lowest = a[k], b[k], signature[k]
        for i in range(count):
            lowest = min(lowest, np.uint32(np.uint32(multiplier * block[i]) + offset))
        signature[k] = lowest


@jit
def _sets(
    text: Text,
    n: int,
    values: Hashes,
    ends: Ints,
) -> int:
    hashes = np.empty(n - 1 + BLOCK, dtype=np.uint64)
    spans = np.empty((BLOCK, 2), dtype=np.int64)
    table = np.empty(BLOCK, dtype=np.uint64)
    filled = 0
    for document in range(text.offsets.size - 1):
        position, end = text.offsets[document], text.offsets[document + 1]
        carried, seen, size = 0, 0, 0
        while position < end:
            block = hashes[carried : carried + BLOCK]
            count, position = next_tokens(text, position, end, block, spans)
            size += roll(hashes, count, carried, n, values[filled + size :])
            seen += count
            if position >= end and 0 < seen < n:
                values[filled] = _whole(hashes, seen)
                size = 1
            carried = carry_over(hashes, carried + count, n - 1)
        table = _room(table, size)
        filled += _tabulate(values[filled : filled + size], table[: _places(size)])
        ends[document] = filled
    return filled


@jit
def _places(size: int) -> int:
    """Places of a hash table for ``size`` values: a power of two, at most half full."""
    places = 8
    while places < 2 * size:
        places *= 2
    return places


@jit
def _room(table: Hashes, size: int) -> Hashes:
    """The table, or a larger one if ``size`` values need it."""
    return table if table.size >= _places(size) else np.empty(_places(size), dtype=np.uint64)


@jit
def _tabulate(values: Hashes, table: Hashes) -> int:
    """Put values into an empty table, and the distinct ones to the front; return how many.

    0 stands for a free place; the one value in 2^64 that is 0 is taken for 1.
    """
    table[:] = np.uint64(0)
    distinct = 0
    for i in range(values.size):
        value = max(values[i], np.uint64(1))
        place = slot(table, value)
        values[distinct] = value
        distinct += table[place] != value
        table[place] = value
    return distinct


@jit
def jaccard(one: Hashes, table: Hashes, size: int, threshold: float) -> float:
    """True Jaccard similarity of two sets, or 0 if it is below ``threshold``.

    Args:
        one: the first set, no value twice.
        table: the second, as :func:`_tabulate` leaves it, of ``size`` values.
        threshold: where the first has too many values that the second has not, the search ends.
    """
    both = one.size + size
    if both == 0 or min(one.size, size) < threshold * max(one.size, size):
        return 0.0
    # |A & B| / (|A| + |B| - |A & B|) >= t needs |A & B| >= t (|A| + |B|) / (1 + t); one less is
    # asked for, so that rounding decides nothing.
    allowed = one.size - (int(threshold * both / (1.0 + threshold)) - 1)
    missing = 0
    for value in one:
        missing += table[slot(table, value)] != value
        if missing > allowed:
            return 0.0
    common = one.size - missing
    similarity = common / (both - common)
    return similarity if similarity >= threshold else 0.0


@jit
def band_hashes(signatures: Signatures, band: int, rows: int, out: Hashes) -> None:
    """64-bit hash of one band of each signature, ``out`` shape (n,)."""
    for document in range(signatures.shape[0]):
        value = np.uint64(0)
        for k in range(band * rows, (band + 1) * rows):
            value = mix(value * BASE + np.uint64(signatures[document, k]))
        out[document] = value


@jit
def find(parent: Ints, node: int) -> int:
    """Root of ``node``, halving the path on the way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@jit
def unite_equal(parent: Ints, keys: Hashes, documents: Ints) -> None:
    """Unite documents with equal keys, both sorted by key. The smallest is always the root."""
    for i in range(1, keys.size):
        if keys[i] == keys[i - 1]:
            one, two = find(parent, documents[i]), find(parent, documents[i - 1])
            if one < two:
                parent[two] = one
            elif two < one:
                parent[one] = two


@jit
def _agreement(one: Signatures, two: Signatures) -> int:
    """Components in which two signatures agree."""
    same = 0
    for k in range(one.size):
        same += one[k] == two[k]
    return same


@jit
def keep_first(
    limits: Ints,
    values: Hashes,
    ends: Ints,
    signatures: Signatures,
    threshold: float,
    max_checks: int,
    kept_of: Ints,
    similarity: npt.NDArray[np.float32],
) -> None:
    """Within each cluster, in order, remove what is near a document already kept.

    Args:
        limits: where each cluster's members begin, and the end of the last, shape (clusters + 1,).
        values: shingle sets, one after the other.
        ends: where each member's set ends in ``values``, shape (m + 1,), 0 first.
        signatures: of the members, shape (m, k).
        threshold: least true Jaccard similarity to the kept document.
        max_checks: most kept documents a member is compared with, best agreement first.
        kept_of: out: index of the kept member each is a copy of, or -1, shape (m,).
        similarity: out: their true Jaccard similarity, shape (m,).
    """
    kept = np.empty(np.max(limits[1:] - limits[:-1]), dtype=np.int64)
    agreement = np.empty_like(kept)
    table = np.empty(BLOCK, dtype=np.uint64)
    for cluster in range(limits.size - 1):
        count = 0
        for member in range(limits[cluster], limits[cluster + 1]):
            kept_of[member] = -1
            similarity[member] = 0.0
            for i in range(count):
                agreement[i] = _agreement(signatures[kept[i]], signatures[member])
            own = values[ends[member] : ends[member + 1]]
            if count:
                table = _room(table, own.size)
                _tabulate(own, table[: _places(own.size)])
            for _ in range(min(count, max_checks)):
                best = np.argmax(agreement[:count])
                agreement[best] = -1
                other = values[ends[kept[best]] : ends[kept[best] + 1]]
                value = jaccard(other, table[: _places(own.size)], own.size, threshold)
                if value > 0:
                    kept_of[member] = kept[best]
                    similarity[member] = value
                    break
            if kept_of[member] < 0:
                kept[count] = member
                count += 1


def permutations(size: int, *, seed: int) -> tuple[Signatures, Signatures]:
    """Multipliers (odd) and offsets of ``size`` permutations of 32-bit numbers."""
    generator = np.random.default_rng(seed)
    a = generator.integers(0, 1 << 32, size, dtype=np.uint64).astype(np.uint32) | np.uint32(1)
    b = generator.integers(0, 1 << 32, size, dtype=np.uint64).astype(np.uint32)
    return a, b


def signatures(column: TextColumn, *, n: int, a: Signatures, b: Signatures) -> Signatures:
    """MinHash signature of each document, shape (documents, len(a)); all ones if it has no token.

    >>> import pyarrow as pa
    >>> column = TextColumn.of(pa.array(["a b c d", "A  B c D", "w x y z"]))
    >>> one, two, three = signatures(column, n=2, a=permutations(64, seed=0)[0],
    ...                              b=permutations(64, seed=0)[1])
    >>> bool((one == two).all()), bool((one == three).any())
    (True, False)
    """
    return sketch(column, n=n, a=a, b=b)[0]


def sketch(
    column: TextColumn, *, n: int, a: Signatures, b: Signatures
) -> tuple[Signatures, Hashes]:
    """MinHash signatures, and 128 bits of hash of each normalised text, shape (documents, 2)."""
    out = np.empty((len(column), len(a)), np.uint32)
    identities = np.empty((len(column), 2), np.uint64)
    if len(column):
        _sign(column.buffers(), n, a, b, out, identities)
    return out, identities


def shingle_sets(column: TextColumn, *, n: int) -> tuple[Hashes, Ints]:
    """Shingle sets of the documents, one after the other, and where each ends."""
    # A token has at least one byte. Pages that nothing is written to take no memory.
    values = np.empty(int(column.lengths.sum()) + 1, np.uint64)
    ends = np.empty(len(column), np.int64)
    filled = _sets(column.buffers(), n, values, ends)
    return values[:filled], ends
