"""The files that hold a model folder's weights: one, or several that an index names.

Hugging Face splits large models into ``model-00001-of-00003.safetensors`` and so on;
``model.safetensors.index.json`` says in which file each weight is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from leadsman.errors import InputError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def weight_files(folder: str | Path) -> list[Path]:
    """In order of name; a single file before an index, as transformers does.

    Raises:
        InputError: the index is damaged, or names a file that is not beside it.
    """
    index = Path(folder, INDEX)
    if Path(folder, WEIGHTS).exists() or not index.exists():
        return [Path(folder, WEIGHTS)]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        files = [Path(folder, name) for name in names]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(
            f"not an index of weights ({error}); it needs weight_map, a file for each weight",
            file=index,
        ) from error
    absent = next(
        (each for each in files if each.parent != index.parent or not each.exists()), None
    )
    if not files or absent is not None:
        raise InputError(
            f"names {absent.name if absent else 'no file'}, which is not beside it; copy all files "
            f"of the model",
            file=index,
        )
    return files


def weights_digest(folder: str | Path) -> str:
    """A hash of the weights' bytes.

    Raises:
        InputError: there are no weights, or the index is damaged.
    """
    digests = []
    for file in weight_files(folder):
        try:
            with file.open("rb") as weights:
                digests.append(hashlib.file_digest(weights, "sha256").hexdigest())
        except OSError as error:
            raise InputError(f"no weights to continue from: {error.strerror}", file=file) from error
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
