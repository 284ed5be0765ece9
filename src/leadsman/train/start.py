"""Weights that a run continues from: a model folder, named by what it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from leadsman.errors import InputError
from leadsman.runs import Recipe

if TYPE_CHECKING:
    from leadsman.train.model import Decoder

WEIGHTS = "model.safetensors"


def start_id(path: str | Path) -> str:
    """Identity of a model folder's weights, for ``Recipe.start``.

    Raises:
        InputError: there are no weights.
    """
    file = Path(path, WEIGHTS)
    try:
        with file.open("rb") as weights:
            return hashlib.file_digest(weights, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"no weights to continue from: {error.strerror}", file=file) from error


def load_start(recipe: Recipe, path: str) -> Decoder | None:
    """The model a recipe continues from; ``None`` if it starts afresh.

    A recipe may train on shorter sequences than the model has read before.

    Raises:
        InputError: the folder holds other weights than the recipe names, or none.
    """
    from leadsman.train.hf import load_hf

    if not recipe.start:
        return None
    if not path:
        raise InputError(
            f"the recipe continues from weights {recipe.start}; say where they are", column="start"
        )
    found = start_id(path)
    if found != recipe.start:
        raise InputError(
            f"holds weights {found}; the recipe continues from {recipe.start}",
            file=Path(path, WEIGHTS),
        )
    return load_hf(path, most_seq_len=recipe.shape.seq_len)
