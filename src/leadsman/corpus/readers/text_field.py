"""Where a row keeps its text: a field, or a path to one, as ``body.raw`` or ``messages.content``.

A path goes into objects; at a list of objects it goes into each of them, and what is found there is
joined by blank lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leadsman.errors import InputError

SEPARATOR = "\n\n"
_NAMED = 8
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}


def text_of(row: Mapping[str, Any], field: str) -> str:
    """The text of a row.

    Raises:
        ValueError: there is none; the message says why, for a person.

    >>> text_of({"messages": [{"content": "Hi."}, {"content": "Yes?"}]}, "messages.content")
    'Hi.\\n\\nYes?'
    """
    value = _walk(row, [field] if field in row else field.split("."))
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError(f"no {field!r}, only {names(row)} (`leadsman corpus convert --text-field` reads another)")
    kind = _KINDS.get(type(value), f"{type(value).__name__} {value}")
    inner = value[0] if isinstance(value, list) and value else value
    hint = ""
    if isinstance(inner, dict):
        kind += " of objects" if isinstance(value, list) else ""
        hint = f"; --text-field goes on into {names(inner)}, as {field}.{next(iter(inner), '')}"
    raise ValueError(f"{field!r} is {kind}, expected a string{hint}")


def names(fields: Mapping[str, Any] | list[str]) -> str:
    """The first names of many."""
    given = [str(name) for name in fields]
    more = f" and {len(given) - _NAMED} more" if len(given) > _NAMED else ""
    return (", ".join(given[:_NAMED]) or "nothing") + more


def _walk(value: Any, path: list[str]) -> Any:
    for place, part in enumerate(path):
        if isinstance(value, list):
            found = [_walk(item, path[place:]) for item in value]
            there = [text for text in found if text is not None]
            wrong = next((text for text in there if not isinstance(text, str)), None)
            return wrong if wrong is not None else SEPARATOR.join(there) if there else None
        value = value.get(part) if isinstance(value, dict) else None
    return value


def text_column(batch: pa.RecordBatch, field: str, file: str) -> pa.Array:
    """The texts of a table as strings that may be null; dictionaries are resolved.

    Raises:
        InputError: the path does not lead to strings.
    """
    path = [field] if field in batch.schema.names else field.split(".")
    column = batch.column(path[0])
    for place, part in enumerate(path[1:], 1):
        inner = column.type
        if pa.types.is_list(inner) or pa.types.is_large_list(inner):
            rows = column.to_pylist()
            return pa.array([_walk(row, path[place:]) for row in rows], pa.large_string())
        if not pa.types.is_struct(inner) or inner.get_field_index(part) < 0:
            raise InputError(f"there is no {part!r} in {inner}", file=file, column=field)
        column = pc.struct_field(column, part)
    return _strings(column, field, file)


def _strings(column: pa.Array, field: str, file: str) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _strings(column.dictionary_decode(), field, file)
    if pa.types.is_null(kind) or kind == pa.string_view():
        return column.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column.cast(pa.large_binary()).view(pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    message = f"{field!r} is {kind}, expected strings"
    inside = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    if pa.types.is_struct(inside):
        inner = [inside.field(i).name for i in range(inside.num_fields)]
        message += f"; --text-field goes on into {names(inner)}, as {field}.{inner[0]}"
    raise InputError(message, file=file, column=field)
