"""Token sets: ids in memory-mapped files, with the place where each document ends.

    OUT/tokens-00000.bin ...   token ids, little-endian uint16 (uint32 from 65,536 on)
        documents.npy          int64, position after the last token of each document
        manifest.json          written last: a token set without it does not exist

Every document is followed by one end-of-text token. ``bytes`` counts the UTF-8 bytes of the text,
so that losses can be told in bits per byte whatever the tokenizer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadsman.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TokenManifest:
    """What a token set holds.

    Attributes:
        tokens: ids in all shards, end-of-text tokens included.
        documents: documents.
        bytes: UTF-8 bytes of the text.
        vocab_size: size of the tokenizer's vocabulary.
        end_of_text: id of the token after each document.
        dtype: ``uint16`` or ``uint32``.
        tokenizer: SHA-256 of the tokenizer's JSON.
        hash: SHA-256 over the ids, the identity of the set.
        key: identity of the text that was read, as given by the caller; empty if not told.
        shards: tokens in each shard file.
    """

    tokens: int
    documents: int
    bytes: int
    vocab_size: int
    end_of_text: int
    dtype: str
    tokenizer: str
    hash: str
    key: str = ""
    shards: list[int] = field(default_factory=list)


class TokenSet:
    """A tokenised corpus on a local disk, read through memory maps.

    Args:
        path: the directory :func:`tokenize_corpus` wrote.

    Raises:
        InputError: no manifest, or a shard that is not as long as the manifest says.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = _read_manifest(self.path)
        width = np.dtype(self.manifest.dtype).itemsize
        self._shards = []
        for number, tokens in enumerate(self.manifest.shards):
            file = self.path / shard_name(number)
            size = file.stat().st_size if file.exists() else 0
            if size != tokens * width:
                raise InputError(
                    f"holds {size} bytes where the manifest says {tokens * width}; "
                    f"delete the directory and tokenise again",
                    file=file,
                )
            self._shards.append(np.memmap(file, dtype=self.manifest.dtype, mode="r"))
        self._starts = np.cumsum([0, *self.manifest.shards])

    def __len__(self) -> int:
        return self.manifest.tokens

    def read(self, start: int, count: int) -> NDArray[np.int64]:
        """Ids ``start`` to ``start + count``, across shard ends; fewer at the end of the set.

        Raises:
            InputError: an id is outside the vocabulary.
        """
        parts = []
        stop = min(start + count, len(self))
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            end = min(stop, int(self._starts[shard + 1]))
            first = int(self._starts[shard])
            parts.append(self._shards[shard][start - first : end - first])
            start, shard = end, shard + 1
        ids = np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)
        if len(ids) and ids.max() >= self.manifest.vocab_size:
            raise InputError(
                f"holds id {ids.max()}, outside its vocabulary of {self.manifest.vocab_size}; "
                f"delete the directory and tokenise again",
                file=self.path,
            )
        return ids

    @cached_property
    def document_ends(self) -> NDArray[np.int64]:
        """Position after the end-of-text token of each document, ``[documents]``."""
        ends: NDArray[np.int64] = np.load(self.path / "documents.npy")
        return ends


def _read_manifest(path: Path) -> TokenManifest:
    file = path / "manifest.json"
    try:
        return TokenManifest(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError("not a token set: manifest.json is missing", file=path) from error
    except (TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"not a manifest ({error}); delete the directory and tokenise again", file=file
        ) from error


def shard_name(number: int) -> str:
    """File of a shard."""
    return f"tokens-{number:05d}.bin"
