"""Which ids were seen before: 64 bits of hash of each, 16 to 32 bytes of memory a document."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.ngram_index import slot
from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.kernels.tokens import FNV_PRIME, FNV_START, Bytes, Hashes, Ints, mix

_FREE = np.uint64(0)
_START = 1 << 12


@jit
def _add(data: Bytes, offsets: Ints, keys: Hashes, fresh: npt.NDArray[np.bool_]) -> int:
    """Add the ids that are not there; return how many those are."""
    added = 0
    for row in range(offsets.size - 1):
        value = FNV_START
        for position in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(data[position])) * FNV_PRIME
        key = max(mix(value), np.uint64(1))
        place = slot(keys, key)
        fresh[row] = keys[place] == _FREE
        if fresh[row]:
            keys[place] = key
            added += 1
    return added


@jit
def _move(keys: Hashes, larger: Hashes) -> None:
    for key in keys:
        if key != _FREE:
            larger[slot(larger, key)] = key


class SeenIds:
    """A growing set of ids.

    >>> seen = SeenIds()
    >>> seen.add(pa.array(["a", "b", "a"])).tolist(), seen.add(pa.array(["b", "c"])).tolist()
    ([True, True, False], [False, True])
    """

    def __init__(self) -> None:
        self._keys = np.zeros(_START, np.uint64)
        self._count = 0

    def add(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Add ids; whether each is new, shape (len(ids),)."""
        while 2 * (self._count + len(ids)) > len(self._keys):
            larger = np.zeros(2 * len(self._keys), np.uint64)
            _move(self._keys, larger)
            self._keys = larger
        column = TextColumn.of(ids)
        fresh = np.empty(len(ids), np.bool_)
        self._count += _add(column.data, column.offsets, self._keys, fresh)
        return fresh
