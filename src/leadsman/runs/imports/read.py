"""Tables and JSON as files, with errors that name them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from leadsman.errors import InputError


def read_table(path: str | Path) -> pl.DataFrame:
    """A CSV, JSON-lines or Parquet table.

    Raises:
        InputError: the file is missing, of another kind, or cannot be read.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".csv": pl.read_csv,
        ".parquet": pl.read_parquet,
    }
    readers |= dict.fromkeys((".jsonl", ".ndjson"), pl.read_ndjson)
    if path.suffix not in readers:
        raise InputError(f"tables are read from {', '.join(readers)}", file=path)
    try:
        return readers[path.suffix](path)
    except FileNotFoundError as error:
        raise InputError("there is no such file", file=path) from error
    except pl.exceptions.PolarsError as error:
        raise InputError(f"not a table: {error}", file=path) from error


def read_json(path: str | Path) -> Any:
    """A JSON file.

    Raises:
        InputError: it is missing or not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("there is no such file", file=path) from error
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from error


def number(value: Any) -> float | None:
    """A value as a number; ``None`` for anything else (a truth value is not a number)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
