"""Arrays kept as files between the stages of a job, written piece by piece, mapped when read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from leadsman.errors import EngineError
from leadsman.files import Directory


def save_array(directory: Directory, name: str, *arrays: npt.NDArray[Any]) -> None:
    """Keep arrays, one after the other along the first axis, as one file."""
    # As np.save would write their concatenation, without making it in memory.
    header, first = io.BytesIO(), arrays[0]
    shape = (sum(len(array) for array in arrays), *first.shape[1:])
    description = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(header, description)
    flat = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays]
    directory.write(name, [header.getvalue(), *flat])


def load_array(directory: Directory, name: str) -> npt.NDArray[Any]:
    """An array that was saved; a local one is mapped, not read.

    Raises:
        EngineError: it was saved on another machine, in a place that is not shared.
    """
    try:
        if directory.local:
            mapped: npt.NDArray[Any] = np.load(directory.path(name), mmap_mode="r")
            return mapped
        loaded: npt.NDArray[Any] = np.load(io.BytesIO(directory.read(name)))
        return loaded
    except FileNotFoundError as error:
        raise EngineError(
            f"{directory.path(name)} was written by a worker and is not there: inputs and "
            f"results of a cluster must be on storage that every node sees"
        ) from error
