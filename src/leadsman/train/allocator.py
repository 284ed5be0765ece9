"""Freed memory goes back to the system, so that a process holds what its tensors need.

glibc keeps what is freed in its heap, and raises the size from which it asks the system instead
with every large block that is freed (up to 32 MB). A training step frees and takes many tensors of
different size, and the heap ends up with 1.15 to 1.9 times what any moment needs
(docs/planning.md). With the size fixed, every tensor of some size is mapped and given back on its
own. That takes 1.27 to 1.45 times the processor time: the system clears each page it hands out.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""

LARGE_BYTES = 1 << 16
"""Blocks from this size on are given back when they are freed."""


def return_freed_memory(large: int = LARGE_BYTES) -> bool:
    """Fix glibc's thresholds for this process.

    Args:
        large: size in bytes from which a block is mapped on its own.

    Returns:
        Whether there was a glibc to tell; elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, large)) and bool(mallopt(M_TRIM_THRESHOLD, large))


def return_freed_memory_everywhere() -> bool:
    """:func:`return_freed_memory` here, and in every process that is started from here."""
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        os.environ.setdefault(name, str(LARGE_BYTES))
    return return_freed_memory()
