"""Gives freed memory back to the system, so that what threads keep does not add up."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
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


def read_rows(mapped: npt.NDArray[Any], begin: int, end: int) -> npt.NDArray[Any]:
    """Rows of an array, read from its file if it is mapped.

    Where one page of a mapping is asked for the system maps sixteen, and all count as memory.
    """
    if not isinstance(mapped, np.memmap) or mapped.filename is None:
        return mapped[begin:end]
    width = mapped.itemsize * math.prod(mapped.shape[1:])
    file = os.open(mapped.filename, os.O_RDONLY)
    try:
        data = os.pread(file, (end - begin) * width, mapped.offset + begin * width)
    finally:
        os.close(file)
    return np.frombuffer(data, mapped.dtype).reshape(-1, *mapped.shape[1:])
