"""Checkpoints of a trunk: written whole or not at all, and never taken for another recipe's."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from leadsman.errors import InputError
from leadsman.files import Directory


def save_checkpoint(work: Directory, name: str, content: Mapping[str, Any]) -> None:
    """Write a checkpoint, all or nothing."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    work.write(name, buffer.getvalue())


def load_checkpoint(work: Directory, name: str, trunk_id: str, *, device: str) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        InputError: it is truncated, or of another recipe.
    """
    import torch

    try:
        saved = torch.load(io.BytesIO(work.read(name)), map_location=device, weights_only=True)
        found = saved["trunk_id"]
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise InputError(
            "not a whole checkpoint (truncated?); delete it to start this run from the beginning",
            file=work.path(name),
        ) from error
    if found != trunk_id:
        raise InputError(
            f"checkpoint of another recipe ({found}, not {trunk_id}); delete it, or give this run "
            f"a work directory of its own",
            file=work.path(name),
        )
    return dict(saved)
