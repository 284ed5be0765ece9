"""Tables as engineers keep them: CSV of any dialect, JSON, JSON lines, Parquet, gzipped or not.

A CSV may use commas, semicolons, tabs or bars, a decimal comma, a byte-order mark, UTF-16, blanks
around cells, ``NA`` for an empty one. Nested JSON becomes columns with dots (``config.lr``).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from leadsman.errors import InputError

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
SEPARATORS = (",", ";", "\t", "|")
EMPTY = ("", "NA", "N/A", "na", "n/a", "null", "None", "-")
"""Cells of a column of numbers that say nothing is known."""

BYTE_ORDER = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def read_table_file(location: str | Path) -> pl.DataFrame:
    """Read a table; ``.gz`` may follow any ending of text.

    Raises:
        InputError: no such file, an unknown ending, or not a table.
    """
    path = Path(location)
    if not path.is_file():
        raise InputError("there is no such file", file=path)
    suffix = ending(path)
    try:
        if suffix == ".parquet":
            return pl.read_parquet(path)
        if suffix in (".csv", ".tsv"):
            return _csv(_text(path), path)
        if suffix == ".json":
            return _flat(_json(_text(path)))
        return _flat(pl.read_ndjson(_text(path).encode(), infer_schema_length=None))
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"not a table: {str(error).splitlines()[0]}", file=path) from error


def ending(path: Path) -> str:
    """The ending that says what a table is, without ``.gz``.

    Raises:
        InputError: none that is known.
    """
    name = path.name.lower().removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix not in ENDINGS or (suffix == ".parquet" and name != path.name.lower()):
        raise InputError(
            f"tables are read from {', '.join(ENDINGS[:-1])} (.gz may follow) and .parquet",
            file=path,
        )
    return suffix


def _text(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    encoding = next((BYTE_ORDER[mark] for mark in BYTE_ORDER if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError("not a text in UTF-8 or UTF-16", file=path) from error
    if "\0" in text:
        raise InputError("not a text but bytes", file=path)
    return text


def _csv(text: str, path: Path) -> pl.DataFrame:
    if not text.strip():
        raise InputError("the file is empty", file=path)
    separator = _separator(text, path)
    try:
        frame = pl.read_csv(text.encode(), separator=separator, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        ragged = _ragged(text, separator)
        if ragged is None:
            raise
        raise InputError(ragged, file=path) from None
    frame = frame.rename({name: name.strip() for name in frame.columns})
    if separator != ",":
        frame = _decimal_commas(frame)
    return frame.with_columns(_numbers(frame[name]) for name in frame.columns)


def _separator(text: str, path: Path) -> str:
    """What stands most often in the header outside quotes."""
    header = re.sub(r'"[^"]*"', "", text.lstrip().splitlines()[0])
    counts = [header.count(each) for each in SEPARATORS]
    if not any(counts):
        return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    return SEPARATORS[counts.index(max(counts))]


def _ragged(text: str, separator: str) -> str | None:
    """Which line has more cells than the header, in words."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = len(next(rows, []))
    for row in rows:
        if len(row) > header:
            return f"line {rows.line_num} has {len(row)} cells, the header {header}"
    return None


def _decimal_commas(frame: pl.DataFrame) -> pl.DataFrame:
    """Cells such as ``2,53`` as numbers, where some cell cannot be thousands (``1,000``)."""
    number, plain = r"^\s*-?\d+,\d+([eE][+-]?\d+)?\s*$", r"^\s*-?\d+([eE][+-]?\d+)?\s*$"
    decimal = r"^\s*-?(0,\d+|\d+,(\d{1,2}|\d{4,}))([eE][+-]?\d+)?\s*$"
    texts = [name for name in frame.columns if frame[name].dtype == pl.String]
    told = [name for name in texts if frame[name].str.contains(decimal).any()]
    if not told:
        return frame
    commas = [
        name
        for name in texts
        if frame[name].str.contains(f"{number}|{plain}").fill_null(True).all()
    ]
    return frame.with_columns(
        pl.col(commas).str.strip_chars().str.replace(",", ".", literal=True).cast(pl.Float64)
    )


def _numbers(column: pl.Series) -> pl.Series:
    """A column of text as numbers where every cell is one, empty, or says that it is."""
    if column.dtype != pl.String:
        return column
    stripped = column.str.strip_chars()
    cells = stripped.set(stripped.is_in(EMPTY), None)
    values = cells.cast(pl.Float64, strict=False)
    if values.null_count() > cells.null_count() or values.null_count() == len(values):
        return column
    return values


def _json(text: str) -> pl.DataFrame:
    """Records, or columns as pandas writes them: lists, or values by the name of the row."""
    value: Any = json.loads(text)
    if isinstance(value, dict) and value:
        columns = list(value.values())
        if all(isinstance(each, dict) for each in columns) and all(
            each.keys() == columns[0].keys() for each in columns
        ):
            value = {name: list(each.values()) for name, each in value.items()}
        if all(isinstance(each, list) for each in value.values()):
            return pl.DataFrame(value, strict=False)
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) for row in rows):
        raise pl.exceptions.ComputeError("the file holds no rows with named cells")
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Nested cells as columns with dots."""
    while nested := [
        name for name, kind in frame.schema.items() if isinstance(kind, pl.Struct) and kind.fields
    ]:
        frame = frame.with_columns(
            pl.col(name).struct.field(field.name).alias(f"{name}.{field.name}")
            for name in nested
            for field in frame.schema[name].fields  # type: ignore[attr-defined]
        ).drop(nested)
    return frame
