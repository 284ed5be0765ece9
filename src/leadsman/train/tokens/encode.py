"""Documents to a token set: tokenised once, published when whole."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.train.tokens.text import Text, texts
from leadsman.train.tokens.token_set import TokenManifest, TokenSet, shard_name
from leadsman.train.tokens.tokenizer import end_of_text, tokenizer_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

SHARD_TOKENS = 1 << 28
ENCODE_BYTES = 1 << 22


def tokenize_corpus(
    corpus: Iterable[Text], tokenizer: Tokenizer, out: str | Path, *, key: str = ""
) -> TokenSet:
    """Tokenise documents into a token set.

    Args:
        corpus: texts, or Arrow batches with a column ``text``, in the order they are stored.
        tokenizer: holds ``<|endoftext|>`` (or ``</s>``, ``<|end_of_text|>``).
        out: directory to write. A finished set of the same tokenizer and non-empty ``key`` is
            reused and ``corpus`` is not read.
        key: identity of the text (a hash of its manifest, say).

    Raises:
        InputError: no documents, a vocabulary without end-of-text token, or a full disk.
    """
    out = Path(out)
    if key and (out / "manifest.json").exists():
        done = TokenSet(out)
        if (done.manifest.key, done.manifest.tokenizer) == (key, tokenizer_hash(tokenizer)):
            return done
    writer = _Writer(out, tokenizer)
    for batch in _batches(texts(corpus)):
        writer.add(batch)
    writer.finish(key)
    return TokenSet(out)


def _batches(documents: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in documents:
        batch.append(text)
        size += len(text)
        if size >= ENCODE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Writer:
    """Appends encoded documents to shards under temporary names; ``finish`` publishes them."""

    def __init__(self, out: Path, tokenizer: Tokenizer) -> None:
        self.out, self.tokenizer = out, tokenizer
        self.end_of_text = end_of_text(tokenizer)
        self.dtype = "uint16" if tokenizer.get_vocab_size() <= 1 << 16 else "uint32"
        self.shards: list[int] = []
        self.ends: list[int] = []
        self.bytes = 0
        self.digest = hashlib.sha256()
        out.mkdir(parents=True, exist_ok=True)
        (out / "manifest.json").unlink(missing_ok=True)

    def add(self, documents: Sequence[str]) -> None:
        position = self.ends[-1] if self.ends else 0
        ids = []
        for text, encoding in zip(
            documents, self.tokenizer.encode_batch(documents, add_special_tokens=False), strict=True
        ):
            ids.append(np.array([*encoding.ids, self.end_of_text], dtype=self.dtype))
            position += len(ids[-1])
            self.ends.append(position)
            self.bytes += len(text.encode())
        self._append(np.concatenate(ids))

    def _append(self, ids: NDArray[Any]) -> None:
        if not self.shards or self.shards[-1] >= SHARD_TOKENS:
            self.shards.append(0)
            (self.out / f"{shard_name(len(self.shards) - 1)}.tmp").unlink(missing_ok=True)
        data = ids.tobytes()
        self.digest.update(data)
        file = self.out / f"{shard_name(len(self.shards) - 1)}.tmp"
        try:
            with file.open("ab") as shard:
                shard.write(data)
        except OSError as error:
            file.unlink(missing_ok=True)
            raise InputError(
                f"cannot be written: {error.strerror or error}; free space or choose another "
                f"directory, then run the same command again",
                file=file,
            ) from error
        self.shards[-1] += len(ids)

    def finish(self, key: str) -> None:
        if not self.ends:
            raise InputError("no documents to tokenise", file=self.out)
        for number in range(len(self.shards)):
            name = self.out / shard_name(number)
            os.replace(f"{name}.tmp", name)
        directory = Directory(str(self.out))
        directory.write("documents.npy", _npy(np.array(self.ends, dtype=np.int64)))
        manifest = TokenManifest(
            tokens=self.ends[-1],
            documents=len(self.ends),
            bytes=self.bytes,
            vocab_size=self.tokenizer.get_vocab_size(),
            end_of_text=self.end_of_text,
            dtype=self.dtype,
            tokenizer=tokenizer_hash(self.tokenizer),
            hash=self.digest.hexdigest(),
            key=key,
            shards=self.shards,
        )
        directory.write_json("manifest.json", asdict(manifest))


def _npy(array: NDArray[np.int64]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
