"""Gives freed memory back to the system, so that what threads keep does not add up."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def release() -> None:
    """Give back what Arrow's pool and, with glibc, the heaps of all threads hold without use."""
    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def forget(mapped: npt.NDArray[np.generic]) -> None:
    """Let go of the pages of a mapped file; the next access reads them again."""
    if isinstance(mapped.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.base.madvise(mmap.MADV_DONTNEED)


def read_into(mapped: npt.NDArray[Any], pieces: Iterable[tuple[npt.NDArray[Any], int]]) -> None:
    """Fill arrays with elements of a one-dimensional one, read from its file if it is mapped.

    Where one page of a mapping is asked for the system maps sixteen, and all count as memory.

    Args:
        mapped: the array.
        pieces: what to fill, of the same type, and the first element that goes there.
    """
    if not isinstance(mapped, np.memmap) or mapped.filename is None:
        for piece, begin in pieces:
            piece[:] = mapped[begin : begin + len(piece)]
        return
    with open(mapped.filename, "rb", buffering=0) as file:
        for piece, begin in pieces:
            file.seek(mapped.offset + begin * mapped.itemsize)
            file.readinto(piece.data)
