"""JSON files and their values, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leadsman.errors import InputError


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
