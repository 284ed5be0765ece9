"""A project file: sources, target, budget, and how to sound; read strictly.

Every field is checked, an unknown one is an error, and the error names file, line and field.
Relative paths are relative to the project file.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from leadsman.errors import InputError
from leadsman.plan.budget import Budget

_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

MixtureName = Literal["natural", "uniform", "selected"]


def _parse_bytes(value: Any) -> Any:
    """``12``, ``"300 MB"`` or ``"1.5GB"`` as a number of bytes."""
    if not isinstance(value, str):
        return value
    number = value.strip().rstrip("kKMGTB ")
    unit = value.strip()[len(number) :].strip()
    try:
        return round(float(number) * _UNITS[unit])
    except (KeyError, ValueError):
        raise ValueError(f"not a size: {value!r}; write for example 300 MB or 1.5 GB") from None


Bytes = Annotated[int, BeforeValidator(_parse_bytes), Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSpec(_Strict):
    """Text offered for training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: str = Field(description="JSONL, Parquet, a text tree, or a corpus directory")
    declared_bytes: Bytes | None = Field(
        None, description="full size, where only a part is readable"
    )
    price: float | None = Field(None, ge=0, description="price of the whole source")


class TargetSpec(_Strict):
    """Documents that say what good means."""

    name: str = Field("target", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: str
    held_out: float = Field(
        0.5, gt=0, lt=1, description="share kept for evaluation; the selector never sees it"
    )
    held_out_bytes: Bytes = Field(
        200_000, description="most text to evaluate on: more is less noisy and slower"
    )


class SelectionSpec(_Strict):
    """How documents are selected towards the target."""

    method: str = "dsir"
    keep: float = Field(0.25, gt=0, le=1, description="share of the readable bytes to keep")


class TokenizerSpec(_Strict):
    """A byte-level BPE trained on the sources."""

    vocab_size: int = Field(2048, ge=512, le=262_144)


class SoundingSpec(_Strict):
    """The small runs."""

    minutes: float = Field(
        6.0, gt=0, description="on a two-core machine; decides the size of the ladder"
    )
    mixtures: tuple[MixtureName, ...] = get_args(MixtureName)

    @model_validator(mode="after")
    def _has_naive(self) -> SoundingSpec:
        if "natural" not in self.mixtures:
            raise ValueError("mixtures must contain natural, the naive choice plans are held to")
        return self


class Project(_Strict):
    """Everything ``leadsman plan`` needs to know."""

    name: str = "project"
    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    target: TargetSpec
    budget: Budget
    selection: SelectionSpec = SelectionSpec()
    tokenizer: TokenizerSpec = TokenizerSpec()
    soundings: SoundingSpec = SoundingSpec()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _names_differ(self) -> Project:
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are called {name!r}")
        return self


def load_project(path: Path) -> Project:
    """Read and check a project file.

    Args:
        path: a YAML file.

    Raises:
        InputError: the file is missing, not YAML, or a field is unknown, missing or of the wrong
            kind; file, line and field are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text)
        plain = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise InputError(
            "there is no such project file; `leadsman init DIR` writes one", file=path
        ) from error
    except IsADirectoryError as error:
        raise InputError("is a directory; name the project file in it", file=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=path) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML: {error.problem}", file=path, line=line) from error
    if root is None or not isinstance(plain, dict):
        raise InputError("must be a mapping with sources, target and budget", file=path, line=1)
    try:
        project = Project.model_validate(plain)
    except ValidationError as error:
        raise _explain(error, root, path) from error
    return project.model_copy(
        update={
            "sources": tuple(
                source.model_copy(update={"path": str(_beside(path, source.path))})
                for source in project.sources
            ),
            "target": project.target.model_copy(
                update={"path": str(_beside(path, project.target.path))}
            ),
        }
    )


def _beside(project_file: Path, path: str) -> str | Path:
    return path if "://" in path else project_file.parent / path


def _explain(error: ValidationError, root: yaml.Node, path: Path) -> InputError:
    first = error.errors()[0]
    place: Sequence[int | str] = first["loc"]
    field = ".".join(str(part) for part in place) or None
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _fields_at(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        message = f"unknown field; {hint}"
    elif first["type"] == "missing":
        message = "this field is required"
    else:
        message = f"{message[0].lower()}{message[1:]}, not {first['input']!r}"
        if first["type"] == "value_error":
            message = message.rpartition(", not ")[0]
    return InputError(message, file=path, line=_line_of(root, place), column=field)


def _fields_at(place: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] = Project
    for part in place:
        if isinstance(part, int):
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
