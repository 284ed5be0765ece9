"""Equal keys come together range by range, so that sorting never holds more than one range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RANGE_DOCUMENTS = 1 << 24
"""Documents in a range: with sorting, about 1 GB."""

Array = npt.NDArray[Any]


def by_key_range(
    stored: Sequence[Array],
    *,
    key: Callable[[Array], Array],
    wanted: npt.NDArray[np.bool_] | None = None,
) -> Iterator[tuple[npt.NDArray[np.int64], Array]]:
    """Rows of all shards whose keys lie in one range of 64-bit numbers, range after range.

    Args:
        stored: one array a shard, one row a document.
        key: evenly spread 64-bit keys of an array's rows.
        wanted: documents to take, shape (documents,); all by default.

    Yields:
        Numbers of the documents, ascending, and their rows.
    """
    documents = sum(map(len, stored))
    ranges = -(-documents // RANGE_DOCUMENTS)
    firsts = np.cumsum([0, *map(len, stored)])
    for place in range(ranges):
        numbers, rows = [], []
        for first, part in zip(firsts.tolist(), stored):
            here = np.ones(len(part), np.bool_)
            if ranges > 1:
                # The high half times the number of ranges cannot overflow 64 bits.
                high = np.asarray(key(part)) >> np.uint64(32)
                here = (high * np.uint64(ranges)) >> np.uint64(32) == place
            if wanted is not None:
                here &= wanted[first : first + len(part)]
            found = np.flatnonzero(here)
            numbers.append(found + first)
            rows.append(part[found])
        yield np.concatenate(numbers), np.concatenate(rows)
