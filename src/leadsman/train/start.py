"""Weights that a run continues from: a model folder, named by what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leadsman.errors import InputError
from leadsman.runs import Recipe
from leadsman.train.weight_files import weight_files, weights_digest

if TYPE_CHECKING:
    from leadsman.train.model import Decoder


def start_id(path: str | Path) -> str:
    """Identity of a model folder's weights, for ``Recipe.start``.

    Raises:
        InputError: there are no weights, or one of several files is missing.
    """
    return weights_digest(path)[:16]


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
            file=weight_files(path)[0],
        )
    return load_hf(path, most_seq_len=recipe.shape.seq_len)
