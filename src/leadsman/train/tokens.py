"""Text to tokens, once: a byte-level BPE and memory-mapped token sets.

    OUT/tokens-00000.bin ...   token ids, little-endian uint16 (uint32 from 65,536 on)
        documents.npy          int64, position after the last token of each document
        manifest.json          written last: a token set without it does not exist

Every document is followed by one end-of-text token. ``bytes`` counts the UTF-8 bytes of the text,
so that losses can be told in bits per byte whatever the tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from leadsman.errors import InputError
from leadsman.files import Directory

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
SHARD_TOKENS = 1 << 28
ENCODE_BYTES = 1 << 22

Text: TypeAlias = str | pa.RecordBatch | pa.Table


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
            file = self.path / _shard_name(number)
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
        """Ids ``start`` to ``start + count``, across shard ends; fewer at the end of the set."""
        parts = []
        stop = min(start + count, len(self))
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            end = min(stop, int(self._starts[shard + 1]))
            first = int(self._starts[shard])
            parts.append(self._shards[shard][start - first : end - first])
            start, shard = end, shard + 1
        return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)

    @cached_property
    def document_ends(self) -> NDArray[np.int64]:
        """Position after the end-of-text token of each document, ``[documents]``."""
        ends: NDArray[np.int64] = np.load(self.path / "documents.npy")
        return ends


def train_tokenizer(
    corpora: Iterable[Iterable[Text]], *, vocab_size: int, path: str | Path
) -> Tokenizer:
    """Train a byte-level BPE and save it as ``path`` (Hugging Face ``tokenizer.json``).

    The same texts in the same order give the same tokenizer.

    Args:
        corpora: for each source, texts or Arrow batches with a column ``text``.
        vocab_size: entries, 257 or more (all bytes and the end-of-text token).
        path: file to write, all or nothing.

    Raises:
        InputError: the vocabulary is too small, or there is no text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocab_size <= len(alphabet):
        raise InputError(
            f"{vocab_size} is too small: the 256 bytes and {END_OF_TEXT} must fit in",
            column="vocab_size",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        (text for corpus in corpora for text in texts(corpus)), trainer=trainer
    )
    if tokenizer.get_vocab_size() <= len(alphabet) + 1:
        raise InputError("no text to train a tokenizer on", column="sources")
    path = Path(path)
    Directory(str(path.parent)).write(path.name, tokenizer.to_str(pretty=True).encode())
    return tokenizer


def load_tokenizer(path: str | Path) -> Tokenizer:
    """A ``tokenizer.json``.

    Raises:
        InputError: the file is missing or not a tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises bare Exception
        raise InputError(f"not a tokenizer.json: {error}", file=path) from error


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """SHA-256 of the tokenizer's JSON."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


def texts(corpus: Iterable[Text]) -> Iterator[str]:
    """The texts of an iterable of strings or of Arrow batches with a column ``text``.

    >>> list(texts(["a", pa.record_batch({"text": ["b", None]})]))
    ['a', 'b']
    """
    for item in corpus:
        if isinstance(item, str):
            yield item
            continue
        if "text" not in item.schema.names:
            raise InputError(f"columns are {item.schema.names}; 'text' is missing", column="text")
        yield from (text for text in item.column("text").to_pylist() if text is not None)


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
        self.end_of_text = _end_of_text(tokenizer)
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
            (self.out / f"{_shard_name(len(self.shards) - 1)}.tmp").unlink(missing_ok=True)
        data = ids.tobytes()
        self.digest.update(data)
        file = self.out / f"{_shard_name(len(self.shards) - 1)}.tmp"
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
            name = self.out / _shard_name(number)
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


def _end_of_text(tokenizer: Tokenizer) -> int:
    for token in (END_OF_TEXT, "<|end_of_text|>", "</s>"):
        token_id = tokenizer.token_to_id(token)
        if token_id is not None:
            return int(token_id)
    raise InputError(f"the tokenizer has no end-of-text token; add {END_OF_TEXT}")


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


def _shard_name(number: int) -> str:
    return f"tokens-{number:05d}.bin"


def _npy(array: NDArray[np.int64]) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
