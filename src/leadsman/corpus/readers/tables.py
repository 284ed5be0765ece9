"""Reads tables: Parquet files, and the Arrow files of Hugging Face ``datasets``.

A directory that ``datasets`` saved (``save_to_disk``) has a ``state.json`` that names its data
files; others beside them are left-overs of its cache. A table must have a ``text`` column of
strings, or ``text_field`` names one; ``id`` and ``source`` are optional.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leadsman.corpus.readers.options import ReadOptions, short_name
from leadsman.corpus.readers.rejects import Rejects
from leadsman.corpus.readers.text_field import text_column
from leadsman.corpus.shards.writer import core_columns, named_source
from leadsman.errors import InputError

STATE = "state.json"
_ROWS = 1024


def read_parquet(
    filesystem: Any, root: str, name: str, options: ReadOptions, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    """The documents of a Parquet file; what is damaged is quarantined."""
    stem = short_name(name, root)
    with _guarded(name, rejects) as progress, filesystem.open(name, "rb") as file:
        reader = pq.ParquetFile(file)
        wanted = _columns(reader.schema_arrow.names, name, options, rejects)
        # Group by group: a batch across groups could hold many times a group's text.
        for group in range(reader.num_row_groups):
            for batch in reader.iter_batches(_ROWS, row_groups=[group], columns=wanted):
                yield from _documents(batch, progress.row, stem, name, options, rejects)
                progress.row += batch.num_rows


def read_arrow(
    filesystem: Any, root: str, name: str, options: ReadOptions, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    """The documents of an Arrow file (stream or file format), batch by batch."""
    stem = short_name(name, root)
    with _guarded(name, rejects) as progress, filesystem.open(name, "rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic == b"ARROW1":
            whole = pa.ipc.open_file(file)
            schema = whole.schema
            batches = (whole.get_batch(i) for i in range(whole.num_record_batches))
        else:
            stream = pa.ipc.open_stream(file)
            schema, batches = stream.schema, iter(stream)
        wanted = _columns(schema.names, name, options, rejects)
        for batch in batches:
            for start in range(0, batch.num_rows, _ROWS):
                part = batch.select(wanted).slice(start, _ROWS)
                yield from _documents(part, progress.row, stem, name, options, rejects)
                progress.row += part.num_rows


def saved_files(filesystem: Any, files: list[str]) -> list[str]:
    """Of the files of a tree, leave out Arrow files that a ``state.json`` beside them disowns."""
    listed: dict[str, set[str]] = {}
    for name in files:
        folder, _, last = name.rpartition("/")
        if last == STATE:
            listed[folder] = _data_files(filesystem, name)
    return [
        name
        for name in files
        if not name.endswith(".arrow")
        or name.rpartition("/")[2] in listed.get(name.rpartition("/")[0], {name.rpartition("/")[2]})
    ]


def _data_files(filesystem: Any, name: str) -> set[str]:
    try:
        return {file["filename"] for file in json.loads(filesystem.cat_file(name))["_data_files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"is not the state of a saved dataset ({type(error).__name__}: {error}); save it again",
            file=name,
        ) from error


class _Progress:
    row = 0


@contextmanager
def _guarded(name: str, rejects: Rejects) -> Iterator[_Progress]:
    """Quarantine the rest of a file that cannot be read further."""
    progress = _Progress()
    try:
        yield progress
    except (pa.ArrowException, OSError) as error:
        reason = f"damaged after row {progress.row}: {str(error).partition(chr(10))[0]}"
        rejects.add(name, 0, reason)


def _columns(there: list[str], name: str, options: ReadOptions, rejects: Rejects) -> list[str]:
    rejects.leave_out(there, options.fields)
    wanted = [column for column in dict.fromkeys(options.fields) if column in there]
    if not {options.text_field, options.text_field.partition(".")[0]} & set(wanted):
        raise InputError(
            f"there is no column {options.text_field!r}; the columns are {', '.join(there)} "
            f"(`leadsman corpus convert --text-field` reads another)",
            file=name,
        )
    return wanted


def _documents(
    batch: pa.RecordBatch, row: int, stem: str, name: str, options: ReadOptions, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    text = text_column(batch, options.text_field, name)
    bad = pc.or_kleene(
        pc.is_null(text),
        pc.fill_null(pc.greater(pc.binary_length(text), options.max_document_bytes), False),
    )
    for index in pc.indices_nonzero(bad).to_pylist():
        reason = options.too_long if text[index].is_valid else f"no {options.text_field!r}"
        rejects.add(name, row + index + 1, reason)
    good = pc.invert(bad)
    kept = _named(batch, text, row, stem, options).filter(good)
    try:
        kept.column("text").validate(full=True)
    except pa.ArrowException as error:
        rejects.add(name, row + 1, f"not UTF-8 in this or the next {len(batch) - 1} rows: {error}")
        return
    if kept.num_rows:
        numbers = [row + index + 1 for index in pc.indices_nonzero(good).to_pylist()]
        yield from rejects.unique(core_columns(kept), numbers, name)


def _named(
    batch: pa.RecordBatch, text: pa.Array, row: int, stem: str, options: ReadOptions
) -> pa.RecordBatch:
    """With an id and a source for each row, and metadata as text."""
    ids = pa.array([f"{stem}:{row + index + 1}" for index in range(len(batch))], pa.string())
    if "id" in batch.schema.names:
        ids = pc.coalesce(_as_text(batch.column("id")), ids)
    columns = {
        column: _as_text(batch.column(column))
        for column in ("source", *options.metadata)
        if column in batch.schema.names
    }
    own = columns.get("source")
    if options.source is not None or own is None:
        own = pa.nulls(len(batch), pa.string())
    columns["source"] = named_source(own, options.source or options.name)
    return pa.RecordBatch.from_pydict({"id": ids, "text": text, **columns})


def _as_text(column: pa.Array) -> pa.Array:
    """A column as strings: what is neither text nor a number or date, as JSON."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_nested(column.type):
        return column.cast(pa.string())
    values = column.to_pylist()
    texts = [v if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    return pa.array(texts, pa.string())
