"""Gives freed memory back to the system, so that what threads keep does not add up."""

from __future__ import annotations

import ctypes
import mmap
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
