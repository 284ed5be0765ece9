"""Reads documents from what people have: JSON lines, Parquet, trees of text, a corpus.

Everything comes out as Arrow batches with ``id, text, source`` and the metadata asked for. Rows
that cannot be used are quarantined and counted, and stop the job only beyond
``max_reject_rate``. Memory is bounded by a block of the file and the longest document.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leadsman.corpus.corpus import MANIFEST, Corpus
from leadsman.corpus.jsonl import JsonLines
from leadsman.corpus.rejects import Rejects
from leadsman.corpus.writer import core_columns
from leadsman.errors import InputError

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet",)
TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".text")
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
MAX_DOCUMENT_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class _Options:
    name: str
    source: str | None
    metadata: tuple[str, ...]
    text_suffixes: tuple[str, ...]
    max_document_bytes: int


def read_source(
    path: str | Path,
    *,
    source: str | None = None,
    rejects: Rejects | None = None,
    max_reject_rate: float = 0.01,
    metadata: Sequence[str] = (),
    text_suffixes: Sequence[str] = TEXT_SUFFIXES,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
) -> Iterator[pa.RecordBatch]:
    """Stream documents from a file, a directory, a glob pattern or an fsspec URL.

    ``.jsonl``, ``.ndjson``, ``.json`` (each also ``.gz`` or ``.zst``) hold an object a line;
    ``.parquet`` has a ``text`` column; other names in ``text_suffixes`` are one document each.
    A directory is a corpus, or read file by file in the order of names.

    Args:
        path: what to read.
        source: name of the source; by default the rows' own, else the name of ``path``.
        rejects: where unusable rows go; by default they are only counted.
        max_reject_rate: largest share of unusable rows, in [0, 1].
        metadata: other fields to keep (as text, except from a corpus).
        text_suffixes: file names read as plain text.
        max_document_bytes: longer documents are unusable.

    Raises:
        InputError: nothing there, nothing in it, not what its name says, no ``text``, or too
            many unusable rows.
    """
    rejects = Rejects() if rejects is None else rejects
    options = _Options(
        name=source_name(str(path)),
        source=source,
        metadata=tuple(metadata),
        text_suffixes=tuple(text_suffixes),
        max_document_bytes=max_document_bytes,
    )
    documents, ignored = 0, 0
    filesystem, root, files = _find(str(path), options)
    in_tree = files != [root] and not any(mark in str(path) for mark in "*?[")
    if files is None:
        for batch in Corpus.open(path).batches():
            documents += batch.num_rows
            yield batch if source is None else _renamed(batch, source)
    for name in files or []:
        kind = _kind(name, options)
        if kind is None or (in_tree and _plain_json(name)):
            ignored += 1
            continue
        for batch in _READERS[kind](filesystem, root, name, options, rejects):
            documents += batch.num_rows
            yield batch
    rejects.flush()
    if documents == 0:
        if rejects.first is not None:
            raise InputError(f"no document can be read; the first problem: {rejects.first}")
        known = ", ".join((*JSON_SUFFIXES, *PARQUET_SUFFIXES, *options.text_suffixes))
        other = f" ({ignored} files of other kinds; known are {known})" if ignored else ""
        raise InputError(f"holds no documents{other}", file=path)
    rejects.check(documents, max_reject_rate)


def files_state(path: str | Path) -> list[tuple[str, int, str]]:
    """Name, size and time or tag of each file under a path; the same while nothing changes."""
    filesystem, root = _filesystem(str(path))
    if any(mark in root for mark in "*?["):
        found = filesystem.glob(root, detail=True)
    elif filesystem.isfile(root):
        found = {root: filesystem.info(root)}
    else:
        found = filesystem.find(root, detail=True)
    return [
        (name, int(info.get("size") or 0), str(info.get("mtime", info.get("ETag", ""))))
        for name, info in sorted(found.items())
    ]


def _filesystem(path: str) -> tuple[Any, str]:
    try:
        filesystem, root = fsspec.url_to_fs(path)
    except (ValueError, ImportError) as error:
        raise InputError(f"cannot be opened: {error}", file=path) from error
    return filesystem, root


def _find(path: str, options: _Options) -> tuple[Any, str, list[str] | None]:
    """File system, root and files of a path; no list of files if it is a corpus."""
    filesystem, root = _filesystem(path)
    if any(mark in root for mark in "*?["):
        files = sorted(str(found) for found in filesystem.glob(root))
        return filesystem, root.partition("*")[0].rpartition("/")[0], files
    if filesystem.isfile(root):
        if _kind(root, options) is None:
            known = ", ".join((*JSON_SUFFIXES, *PARQUET_SUFFIXES, *options.text_suffixes))
            raise InputError(
                f"cannot tell what this is from its name; known are {known}, "
                f"the first two kinds also with .gz or .zst",
                file=path,
            )
        return filesystem, root, [root]
    if not filesystem.isdir(root):
        raise InputError("is not there; give a file, a directory or a pattern", file=path)
    if filesystem.exists(f"{root}/{MANIFEST}"):
        return filesystem, root, None
    return filesystem, root, sorted(str(found) for found in filesystem.find(root))


def source_name(path: str) -> str:
    """Name of the source that a path stands for: its last part, without suffixes."""
    parts = [part for part in path.rstrip("/").split("/") if not any(m in part for m in "*?[")]
    last = os.path.basename(os.path.abspath(parts[-1])) if parts and parts[-1] else "documents"
    return last.split(".")[0] or last


def _kind(name: str, options: _Options) -> str | None:
    stem, suffix = os.path.splitext(name.lower())
    if suffix in _COMPRESSIONS:
        return "json" if stem.endswith(JSON_SUFFIXES) else None
    if suffix in options.text_suffixes:
        return "text"
    if suffix in JSON_SUFFIXES:
        return "json"
    return "parquet" if suffix in PARQUET_SUFFIXES else None


def _plain_json(name: str) -> bool:
    # In a tree, `.json` is as often a settings file as JSON lines; named alone, it was meant.
    return name.lower().endswith((".json", ".json.gz", ".json.zst"))


def _read_json(
    filesystem: Any, root: str, name: str, options: _Options, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    reader = JsonLines(
        file=name,
        source=options.source or options.name,
        override=options.source is not None,
        metadata=options.metadata,
        max_document_bytes=options.max_document_bytes,
    )
    compression = _COMPRESSIONS.get(os.path.splitext(name.lower())[1])
    try:
        with filesystem.open(name, "rb") as file:
            stream = pa.CompressedInputStream(file, compression) if compression else file
            yield from reader.batches(stream, rejects, workers=len(os.sched_getaffinity(0)))
    except OSError as error:
        rejects.add(name, 0, f"cannot be read: {error}")


def _read_parquet(
    filesystem: Any, root: str, name: str, options: _Options, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    row = 0
    try:
        with filesystem.open(name, "rb") as file:
            reader = pq.ParquetFile(file)
            there = reader.schema_arrow.names
            if "text" not in there:
                raise InputError(
                    f"there is no column 'text'; the columns are {', '.join(there)}", file=name
                )
            wanted = [c for c in ("id", "text", "source", *options.metadata) if c in there]
            for batch in reader.iter_batches(1024, columns=wanted):
                yield from _parquet_batch(batch, row, name, options, rejects)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        rejects.add(name, 0, f"damaged after row {row}: {str(error).partition(chr(10))[0]}")


def _parquet_batch(
    batch: pa.RecordBatch, row: int, name: str, options: _Options, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    text = batch.column("text")
    if not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
        raise InputError(f"'text' is {text.type}, expected strings", file=name, column="text")
    bad = pc.or_kleene(
        pc.is_null(text),
        pc.fill_null(pc.greater(pc.binary_length(text), options.max_document_bytes), False),
    )
    for index in pc.indices_nonzero(bad).to_pylist():
        reason = f"longer than max_document_bytes ({options.max_document_bytes})"
        rejects.add(name, row + index + 1, reason if text[index].is_valid else "no 'text'")
    stem = name.rpartition("/")[2]
    numbered = pa.array([f"{stem}:{row + index + 1}" for index in range(len(batch))], pa.string())
    if "id" in batch.schema.names:
        numbered = pc.coalesce(batch.column("id").cast(pa.string()), numbered)
    columns = {
        column: batch.column(column).cast(pa.string())
        for column in batch.schema.names
        if column not in ("id", "text")
    }
    source = options.source or options.name
    if options.source is not None or "source" not in columns:
        columns["source"] = pa.array([source] * len(batch), pa.string())
    whole = pa.RecordBatch.from_pydict({"id": numbered, "text": text, **columns})
    kept = whole.filter(pc.invert(bad))
    try:
        kept.column("text").validate(full=True)
    except pa.ArrowException as error:
        rejects.add(name, row + 1, f"not UTF-8 in this or the next {len(batch) - 1} rows: {error}")
        return
    if kept.num_rows:
        yield core_columns(kept, source=source)


def _read_text(
    filesystem: Any, root: str, name: str, options: _Options, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    try:
        if filesystem.size(name) > options.max_document_bytes:
            reason = f"longer than max_document_bytes ({options.max_document_bytes})"
            rejects.add(name, 0, reason)
            return
        text = filesystem.cat_file(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rejects.add(name, 0, f"not UTF-8 at byte {error.start}")
        return
    except OSError as error:
        rejects.add(name, 0, f"cannot be read: {error}")
        return
    if not text.strip():
        return
    source = options.source or options.name
    row = {
        "id": [name.removeprefix(root).lstrip("/") or name.rpartition("/")[2]],
        "text": [text],
        "source": [source],
    }
    yield core_columns(pa.RecordBatch.from_pydict(row))


def _renamed(batch: pa.RecordBatch, source: str) -> pa.RecordBatch:
    place = batch.schema.get_field_index("source")
    return batch.set_column(place, "source", pa.array([source] * len(batch), pa.string()))


_READERS = {"json": _read_json, "parquet": _read_parquet, "text": _read_text}
