"""Reads documents from what people have: JSON lines, tables, web archives, text, a corpus.

Everything comes out as Arrow batches with ``id, text, source`` and the metadata asked for. Rows
that cannot be used are quarantined and counted, and stop the job only beyond
``max_reject_rate``. Memory is bounded by a block of the file and the longest document.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa

from leadsman.corpus.corpus import MANIFEST, Corpus
from leadsman.corpus.readers.jsonl import JsonLines
from leadsman.corpus.readers.options import (
    MAX_DOCUMENT_BYTES,
    Reader,
    ReadOptions,
    rows_to_batch,
    short_name,
)
from leadsman.corpus.readers.rejects import NothingReadableError, Rejects
from leadsman.corpus.readers.streams import TextStream, encoding_of
from leadsman.corpus.readers.tables import read_arrow, read_parquet, saved_files
from leadsman.corpus.readers.web_archive import SUFFIXES as WEB_SUFFIXES
from leadsman.corpus.readers.web_archive import read_web_archive
from leadsman.engine import usable_cores
from leadsman.errors import InputError

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet",)
ARROW_SUFFIXES = (".arrow",)
TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".text")
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def read_source(
    path: str | Path,
    *,
    source: str | None = None,
    rejects: Rejects | None = None,
    max_reject_rate: float = 0.01,
    metadata: Sequence[str] = (),
    text_suffixes: Sequence[str] = TEXT_SUFFIXES,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
    text_field: str = "text",
) -> Iterator[pa.RecordBatch]:
    """Stream documents from a file, a directory, a glob pattern or an fsspec URL.

    ``.jsonl``, ``.ndjson``, ``.json`` (each also ``.gz`` or ``.zst``) hold an object a line;
    ``.parquet`` and ``.arrow`` have a ``text`` column (a directory of the Hub, or one saved by
    ``datasets``); ``.wet`` and ``.warc`` (each also ``.gz``) are web archives; other names in
    ``text_suffixes`` are one document each. A directory is a corpus, or read file by file in the
    order of names.

    Args:
        path: what to read.
        source: name of the source; by default the rows' own, else the name of ``path``.
        rejects: where unusable rows go; by default they are only counted.
        max_reject_rate: largest share of unusable rows, in [0, 1].
        metadata: other fields to keep (as text, except from a corpus).
        text_suffixes: file names read as plain text.
        max_document_bytes: longer documents are unusable.
        text_field: where rows keep their text: a field, or a path to one, as ``body.raw`` or
            ``messages.content`` (lists of objects are gone through and joined by blank lines).

    Raises:
        NothingReadableError: all there is had to be quarantined.
        InputError: nothing there, nothing in it, not what its name says, no ``text``, or too
            many unusable rows.
    """
    rejects = Rejects() if rejects is None else rejects
    rejects.begin_source()
    before = rejects.count
    options = ReadOptions(
        name=source_name(str(path)),
        source=source,
        metadata=tuple(metadata),
        text_suffixes=_dotted(text_suffixes),
        max_document_bytes=max_document_bytes,
        text_field=text_field,
    )
    documents, ignored = 0, 0
    filesystem, root, files = _find(str(path), options)
    in_tree = files != [root] and root == _filesystem(str(path))[1]  # not what a pattern matched
    if files is None:
        for batch in _corpus_batches(path, source, rejects):
            documents += batch.num_rows
            yield batch
    kinds = {_kind(name, options) for name in files or []}
    for name in files or []:
        kind = _kind(name, options)
        if kind is None or (in_tree and _beside_data(name, kinds)):
            ignored += 1
            linked = kind is None and filesystem.isdir(name)
            rejects.skip("link to a directory; name it" if linked else "file of another kind")
            continue
        for batch in _READERS[kind](filesystem, root, name, options, rejects):
            documents += batch.num_rows
            yield batch
    rejects.flush()
    if documents == 0:
        if rejects.first_of_source is not None:
            raise NothingReadableError(rejects.first_of_source, rejects.count - before)
        known = f" ({ignored} files of other kinds; known are {_known(options)})"
        other = known if ignored else ""
        raise InputError(f"holds no documents{other}", file=path)
    rejects.check(documents, max_reject_rate, before=before)


def check_readable(path: str | Path, *, text_suffixes: Sequence[str] = TEXT_SUFFIXES) -> None:
    """Look whether there is something to read, without reading it.

    Raises:
        InputError: nothing is there, or nothing known by its name.
    """
    options = ReadOptions(name="", source=None, metadata=(), text_suffixes=_dotted(text_suffixes))
    _find(str(path), options)


def _dotted(suffixes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f".{suffix.lstrip('.')}".lower() for suffix in suffixes)


def files_state(path: str | Path) -> list[tuple[str, int, str]]:
    """Name, size and time or tag of each file under a path; the same while nothing changes."""
    filesystem, root = _filesystem(str(path))
    if _is_pattern(filesystem, root):
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


def _find(path: str, options: ReadOptions) -> tuple[Any, str, list[str] | None]:
    """File system, root and files of a path; no list of files if it is a corpus."""
    filesystem, root = _filesystem(path)
    if _is_pattern(filesystem, root):
        files = sorted(str(found) for found in filesystem.glob(root))
        if not files:
            raise InputError("matches no file", file=path)
        return filesystem, root.partition("*")[0].rpartition("/")[0], files
    if filesystem.isfile(root):
        if _kind(root, options) is None:
            raise InputError(
                f"cannot tell what this is from its name; known are {_known(options)}, those of "
                f"JSON lines also with .gz or .zst",
                file=path,
            )
        return filesystem, root, [root]
    if not filesystem.isdir(root):
        raise InputError("is not there; give a file, a directory or a pattern", file=path)
    if filesystem.exists(f"{root}/{MANIFEST}"):
        return filesystem, root, None
    found = sorted(str(found) for found in filesystem.find(root))
    return filesystem, root, saved_files(filesystem, found)


def _is_pattern(filesystem: Any, root: str) -> bool:
    """Whether a path stands for what it matches; one that is there stands for itself."""
    there = filesystem.isfile(root) or filesystem.isdir(root)
    return any(mark in root for mark in "*?[") and not there


def _known(options: ReadOptions) -> str:
    kinds = (JSON_SUFFIXES, PARQUET_SUFFIXES, ARROW_SUFFIXES, WEB_SUFFIXES, options.text_suffixes)
    return ", ".join(suffix for suffixes in kinds for suffix in suffixes)


def source_name(path: str) -> str:
    """Name of the source that a path stands for: its last part, without suffixes."""
    parts = [part for part in path.rstrip("/").split("/") if not any(m in part for m in "*?")]
    last = os.path.basename(os.path.abspath(parts[-1])) if parts and parts[-1] else "documents"
    return last.split(".")[0] or last


def _kind(name: str, options: ReadOptions) -> str | None:
    if name.lower().endswith(WEB_SUFFIXES):
        return "web archive"
    stem, suffix = os.path.splitext(name.lower())
    if suffix in _COMPRESSIONS:
        return "json" if stem.endswith(JSON_SUFFIXES) else None
    if suffix in options.text_suffixes:
        return "text"
    if suffix in JSON_SUFFIXES:
        return "json"
    if suffix in ARROW_SUFFIXES:
        return "arrow"
    return "parquet" if suffix in PARQUET_SUFFIXES else None


def _beside_data(name: str, kinds: set[str | None]) -> bool:
    """Whether a file of a tree is about the data rather than data; named alone, it was meant."""
    last = name.rpartition("/")[2].lower()
    described = kinds & {"parquet", "arrow", "json", "web archive"}
    # In a tree, `.json` is as often a settings file as JSON lines.
    return last.endswith((".json", ".json.gz", ".json.zst")) or (
        bool(described) and last.startswith(("readme.", "license.", "licence."))
    )


def _read_json(
    filesystem: Any, root: str, name: str, options: ReadOptions, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    reader = JsonLines(file=name, stem=short_name(name, root), options=options)
    compression = _COMPRESSIONS.get(os.path.splitext(name.lower())[1])
    try:
        with filesystem.open(name, "rb") as file:
            stream = TextStream(file, compression)
            yield from reader.batches(stream, rejects, workers=usable_cores())
    except OSError as error:
        rejects.add(name, 0, f"cannot be read: {error}")


def _read_text(
    filesystem: Any, root: str, name: str, options: ReadOptions, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    try:
        if filesystem.size(name) > options.max_document_bytes:
            rejects.add(name, 0, options.too_long)
            return
        data: bytes = filesystem.cat_file(name)
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        rejects.add(name, 0, f"not {error.encoding.upper()} at byte {error.start}", data)
        return
    except OSError as error:
        rejects.add(name, 0, f"cannot be read: {error}")
        return
    if not text.strip():
        rejects.skip("empty file")
        return
    if "\0" in text:
        rejects.add(name, 0, "holds NUL bytes: no text, or UTF-16 without its mark", data)
        return
    row = {"id": short_name(name, root), "text": text}
    yield from rows_to_batch([row], [1], name, options, rejects)


def _corpus_batches(
    path: str | Path, source: str | None, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    row = 1
    for batch in Corpus.open(path).batches():
        named = batch if source is None else _renamed(batch, source)
        yield from rejects.unique(named, range(row, row + batch.num_rows), str(path))
        row += batch.num_rows


def _renamed(batch: pa.RecordBatch, source: str) -> pa.RecordBatch:
    place = batch.schema.get_field_index("source")
    return batch.set_column(place, "source", pa.array([source] * len(batch), pa.string()))


_READERS: dict[str, Reader] = {
    "json": _read_json,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "web archive": read_web_archive,
    "text": _read_text,
}
