"""Equal keys of all shards come together range by range; only one range is in memory.

Each shard keeps its keys sorted, with the rows they belong to, so that a range is one slice of
each: whatever the number of ranges, every key is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RANGE_DOCUMENTS = 1 << 24
"""Documents in a range: with sorting, about 1 GB."""

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.uint32]


def sorted_keys(keys: Hashes) -> tuple[Hashes, Rows]:
    """Keys in order, and the row of each, as a shard keeps them; of one column, or the first."""
    order = np.argsort(keys if keys.ndim == 1 else keys[:, 0], kind="stable")
    return keys[order], order.astype(np.uint32)


def by_key_range(
    stored: Sequence[tuple[Hashes, Rows]], *, wanted: npt.NDArray[np.bool_] | None = None
) -> Iterator[tuple[npt.NDArray[np.int64], Hashes]]:
    """Documents of all shards whose keys lie in one range of 64-bit numbers, range after range.

    Args:
        stored: what :func:`sorted_keys` gave for each shard.
        wanted: documents to take, shape (documents,); all by default.

    Yields:
        Numbers of the documents, and their keys; in no order across shards.
    """
    sizes = [len(rows) for _, rows in stored]
    firsts = np.cumsum([0, *sizes]).tolist()
    ranges = max(1, -(-firsts[-1] // RANGE_DOCUMENTS))
    limits = np.array([(place << 64) // ranges for place in range(1, ranges)], np.uint64)
    cuts = [_cuts(keys, limits) for keys, _ in stored]
    for place in range(ranges):
        numbers, found = [], []
        for first, (keys, rows), cut in zip(firsts, stored, cuts):
            part = slice(cut[place], cut[place + 1])
            number = rows[part].astype(np.int64) + first
            here: Any = slice(None) if wanted is None else wanted[number]
            numbers.append(number[here])
            found.append(keys[part][here])
        yield np.concatenate(numbers), np.concatenate(found)


def _cuts(keys: Hashes, limits: Hashes) -> list[int]:
    first = keys if keys.ndim == 1 else keys[:, 0]
    return [0, *np.searchsorted(first, limits).tolist(), len(keys)]
