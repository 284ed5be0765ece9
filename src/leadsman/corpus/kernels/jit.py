"""Compiles a function to machine code that runs with the GIL released, and keeps it on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def jit(function: Function) -> Function:
    """numba's ``njit``, typed."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
