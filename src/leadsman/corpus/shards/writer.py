"""Writes a corpus, all or nothing: shards by temporary name and rename, the manifest last.

A killed writer leaves a directory without a manifest, which nothing reads as a corpus; writing
again replaces what is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadsman.corpus.corpus import FORMAT, MANIFEST, Corpus, Shard
from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.shards.open_shard import Compression, OpenShard
from leadsman.errors import InputError
from leadsman.files import Directory

SHARD_BYTES = 32 << 20
CORE_TYPES = {"id": pa.string(), "text": pa.large_string(), "source": pa.string()}


def write_corpus(
    path: str | Path,
    documents: Iterable[pa.RecordBatch] | Iterable[Mapping[str, Any]],
    *,
    source: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    compression: Compression = "zstd",
    progress: Directory | None = None,
    watcher: Watcher | None = None,
) -> Corpus:
    """Write documents as a corpus.

    Args:
        path: directory or fsspec URL; a corpus already there is replaced.
        documents: Arrow batches, or mappings, with ``text`` and, as there may be, ``id``,
            ``source`` and metadata. A missing id becomes ``SOURCE/NUMBER``.
        source: name for documents that have no ``source``.
        shard_bytes: text in a shard; a longer document gets a shard of its own.
        compression: of the shards.
        progress: keeps a note of each finished shard; with notes of a run on the same documents
            that was killed, only the rest is written.
        watcher: sees the documents of each shard as they are written.

    Raises:
        InputError: a document without text, columns that change on the way, or a full disk.

    >>> import tempfile
    >>> corpus = write_corpus(tempfile.mkdtemp(), [{"text": "One."}, {"text": "Two."}], source="s")
    >>> corpus.documents, corpus.text_bytes, [b["id"].to_pylist() for b in corpus.batches()]
    (2, 8, [['s/0', 's/1']])
    """
    directory = Directory(str(path))
    directory.remove(MANIFEST)
    shards = ShardWriter(
        directory,
        shard_bytes=shard_bytes,
        compression=compression,
        progress=progress,
        watcher=watcher,
    )
    number = 0
    for batch in _as_batches(documents):
        shards.add(core_columns(batch, source=source, first_number=number))
        number += batch.num_rows
    finished = shards.finish()
    for stale in directory.glob("shard-*.parquet"):
        name = stale.rpartition("/")[2]
        if name not in {shard.name for shard in finished}:
            directory.remove(name)
    return write_manifest(directory, finished, schema=shards.schema)


def write_manifest(
    directory: Directory, shards: Iterable[Shard], *, schema: Mapping[str, str], job: str = ""
) -> Corpus:
    """Make a corpus of shards that are already written."""
    corpus = Corpus(directory.location, dict(schema), tuple(shards), job)
    directory.remove_temporaries()
    directory.write_json(
        MANIFEST,
        {
            "format": FORMAT,
            "documents": corpus.documents,
            "text_bytes": corpus.text_bytes,
            "schema": dict(schema),
            "sources": {
                name: {"documents": extent.documents, "text_bytes": extent.text_bytes}
                for name, extent in corpus.sources.items()
            },
            "shards": [shard.to_dict() for shard in corpus.shards],
            "job": job,
        },
    )
    return corpus


class Watcher(Protocol):
    """Sees what is written."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Documents of the shard that is being written."""

    def close(self, shard: Shard) -> None:
        """The shard is written, and holds what was added since the one before."""


class ShardWriter:
    """Cuts a stream of batches into shards of about equal text.

    Args:
        directory: where the shards go.
        shard_bytes: text in a shard.
        first: number of the first shard, for its name.
        compression: of the shards.
        progress: keeps a note of each finished shard; documents of shards that it has notes of
            are passed over.
        watcher: sees the documents of the shards that are written.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        shard_bytes: int = SHARD_BYTES,
        first: int = 0,
        compression: Compression = "zstd",
        progress: Directory | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        if shard_bytes < 1:
            raise InputError(f"must be at least 1, not {shard_bytes}", column="shard_bytes")
        if compression not in get_args(Compression):
            raise InputError(f"must be zstd or lz4, not {compression!r}", column="compression")
        self.directory = directory
        self.compression = compression
        self.shard_bytes = shard_bytes
        self.first = first
        self.schema: dict[str, str] = {name: str(kind) for name, kind in CORE_TYPES.items()}
        self._arrow_schema: pa.Schema | None = None
        self._open: OpenShard | None = None
        self._progress = progress
        self._watcher = watcher
        self._shards = [] if progress is None else _noted_shards(progress)
        self._written = sum(shard.documents for shard in self._shards)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add documents; the batch has the columns of a corpus (see :func:`core_columns`)."""
        batch = self._with_schema(batch)
        passed = min(self._written, batch.num_rows)
        self._written -= passed
        batch = batch.slice(passed)
        lengths = TextColumn.of(batch.column("text")).lengths
        start = 0
        while start < batch.num_rows:
            if self._open is None:
                self._open = OpenShard(batch.schema, self.compression)
            room = self.shard_bytes - self._open.text_bytes
            fitting = int(np.searchsorted(np.cumsum(lengths[start:]), room, side="right"))
            if fitting == 0 and self._open.documents:
                self._close()
                continue
            stop = start + max(fitting, 1)
            piece = batch.slice(start, stop - start)
            if self._watcher is not None:
                self._watcher.add(piece)
            self._open.add(piece, int(lengths[start:stop].sum()))
            start = stop

    def finish(self) -> list[Shard]:
        """Write what is left and return all shards."""
        self._close()
        return self._shards

    def _with_schema(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._arrow_schema is None:
            self._arrow_schema = batch.schema
            self.schema = {field.name: str(field.type) for field in batch.schema}
        if batch.schema.equals(self._arrow_schema):
            return batch
        if set(batch.schema.names) != set(self._arrow_schema.names):
            before, now = ", ".join(self._arrow_schema.names), ", ".join(batch.schema.names)
            raise InputError(
                f"documents change columns on the way: first {before}, then {now}; "
                f"give all of them the same"
            )
        try:
            return batch.select(self._arrow_schema.names).cast(self._arrow_schema)
        except pa.ArrowException as error:
            raise InputError(f"documents change type on the way: {error}") from error

    def _close(self) -> None:
        if self._open is None or not self._open.documents:
            return
        name = f"shard-{self.first + len(self._shards):05d}.parquet"
        data = self._open.close()
        self.directory.write(name, data)
        shard = Shard(
            name=name,
            documents=self._open.documents,
            text_bytes=self._open.text_bytes,
            file_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            sources=dict(sorted(self._open.sources.items())),
        )
        if self._watcher is not None:
            self._watcher.close(shard)
        if self._progress is not None:
            self._progress.write_json(_note(len(self._shards)), shard.to_dict())
        self._shards.append(shard)
        self._open = None


def _note(number: int) -> str:
    return f"shards/{number:05d}.json"


def _noted_shards(progress: Directory) -> list[Shard]:
    """The finished shards, up to the first without a note."""
    shards: list[Shard] = []
    while progress.exists(_note(len(shards))):
        shards.append(Shard.from_dict(json.loads(progress.read(_note(len(shards))))))
    return shards


def core_columns(
    batch: pa.RecordBatch, *, source: str | None = None, first_number: int = 0
) -> pa.RecordBatch:
    """Bring a batch into the form of a corpus: ``id, text, source``, then metadata by name.

    Args:
        batch: must have ``text``; its own ``source`` values win over ``source``.
        source: name for documents without one.
        first_number: number of the batch's first document, for ids that are missing.

    Raises:
        InputError: no ``text``, a null in it, or no source from anywhere.
    """
    names = batch.schema.names
    if "text" not in names:
        raise InputError(
            f"there is no column 'text'; the columns are {', '.join(names)}", column="text"
        )
    if batch.column("text").null_count:
        row = int(pc.index(pc.is_null(batch.column("text")), True).as_py())
        raise InputError(f"document {first_number + row} has no text", column="text")
    given = source if source is not None else "documents"
    columns: dict[str, Any] = {
        "id": _text_or(batch, "id", lambda row: f"{given}/{first_number + row}"),
        "text": batch.column("text"),
        "source": _text_or(batch, "source", lambda row: given),
    }
    columns |= {name: batch.column(name) for name in sorted(set(names) - set(columns))}
    try:
        arrays = [
            array.cast(CORE_TYPES[name]) if name in CORE_TYPES else array
            for name, array in columns.items()
        ]
    except pa.ArrowException as error:
        raise InputError(f"id, text and source must be text: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def named_source(column: pa.Array, name: str) -> pa.Array:
    """Names of sources, shape (n,); ``name`` where there is none or an empty one."""
    return pc.if_else(pc.equal(column, ""), name, column).fill_null(name)


def _text_or(batch: pa.RecordBatch, name: str, fallback: Callable[[int], str]) -> Any:
    """A column as it is, where it is there and has no null."""
    column = batch.column(name) if name in batch.schema.names else pa.nulls(len(batch))
    if not column.null_count:
        return column
    made = pa.array([fallback(row) for row in range(len(batch))], pa.string())
    return pc.coalesce(column.cast(pa.string()), made)


def _as_batches(
    documents: Iterable[pa.RecordBatch] | Iterable[Mapping[str, Any]],
) -> Iterable[pa.RecordBatch]:
    pending: list[Mapping[str, Any]] = []
    size = 0
    for item in documents:
        if isinstance(item, pa.RecordBatch):
            yield item
            continue
        pending.append(item)
        size += len(item.get("text") or "")
        if size >= 1 << 20 or len(pending) == 1024:
            yield _batch_of(pending)
            pending, size = [], 0
    if pending:
        yield _batch_of(pending)


def _batch_of(rows: list[Mapping[str, Any]]) -> pa.RecordBatch:
    try:
        names = dict.fromkeys(name for row in rows for name in row)
        return pa.RecordBatch.from_pydict({name: [row.get(name) for row in rows] for name in names})
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise InputError(f"documents cannot be stored: {error}") from error
