"""YAML files read strictly into pydantic models; an error names file, line and field.

Shared by every file a person writes: projects, recipes, ladders.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from leadsman.errors import InputError


class Strict(BaseModel):
    """Base of such models: frozen, unknown fields are errors, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_PLAIN = {
    "tuple_type": "should be a list",
    "too_short": "should be a list of at least {min_length}",
    "model_type": "should be a mapping of fields",
    "float_parsing": "should be a number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
}
"""What pydantic says of Python's types, as a person who writes YAML would say it."""

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model], *, hint: str = "") -> Model:
    """Read and check a file.

    Args:
        path: a YAML file holding a mapping.
        model: what it must hold.
        hint: added to the message when the file is missing (how to get one).

    Raises:
        InputError: the file is missing, not YAML, or a field is unknown, missing or of the wrong
            kind; file, line and field are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text)
        plain = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise InputError(f"there is no such file{hint and '; '}{hint}", file=path) from error
    except IsADirectoryError as error:
        raise InputError("is a directory; name the YAML file in it", file=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=path) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML: {error.problem}", file=path, line=line) from error
    if root is None or not isinstance(plain, dict):
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        names = " and ".join([", ".join(required[:-1]), required[-1]]).removeprefix(" and ")
        raise InputError(f"must be a mapping with {names}", file=path, line=1)
    _refuse_repeats(root, path)
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise _explain(error, model, root, path) from error


def _refuse_repeats(node: yaml.Node, path: Path) -> None:
    """YAML takes the last of two equal keys without a word."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _refuse_repeats(each, path)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise InputError(
                    f"{name!r} stands in line {lines[name]} already; keep one", file=path, line=line
                )
            lines[name] = line
            _refuse_repeats(value, path)


def _explain(
    error: ValidationError, model: type[BaseModel], root: yaml.Node, path: Path
) -> InputError:
    # A field that is misspelt explains the one that is missing.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place: Sequence[int | str] = first["loc"]
    field = ".".join(str(part) for part in place) or None
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        message = f"unknown field; {hint}"
    elif first["type"] == "missing":
        message = "this field is required"
    else:
        message = _PLAIN.get(first["type"], message).format(**first.get("ctx", {}))
        message = f"{message[0].lower()}{message[1:]}, not {first['input']!r}"
        if first["type"] == "value_error":
            message = message.rpartition(", not ")[0]
    return InputError(message, file=path, line=_line_of(root, place), column=field)


def _fields_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    for part in place:
        if part not in model.model_fields:  # the number in a list, the key of a mapping
            continue
        annotation = model.model_fields[str(part)].annotation
        arguments = [annotation, *get_args(annotation)]
        model = next(
            each for each in arguments if isinstance(each, type) and issubclass(each, BaseModel)
        )
    return list(model.model_fields)


def _line_of(node: yaml.Node, place: Sequence[int | str]) -> int:
    """The line on which the deepest part of ``place`` that exists begins."""
    line = node.start_mark.line
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1
