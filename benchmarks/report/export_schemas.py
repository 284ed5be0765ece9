"""Which fields axolotl and litgpt document, read from the tools themselves.

    PEERS/peers-axolotl/bin/python -m benchmarks.report.export_schemas axolotl >> ...
    python -m benchmarks.report.export_schemas merge DIR    # writes tests/plan/export_schemas.json

Run once for each tool with the Python of a virtual environment that has it; the fields that the
exports use are kept, with the tool's version, so that the tests need no tool.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path

TARGET = Path(__file__).parents[2] / "tests/plan/export_schemas.json"
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array",
         tuple: "array", dict: "object", type(None): "null"}  # fmt: skip


def axolotl() -> dict[str, list[str]]:
    """Kinds by field of ``AxolotlInputConfig``."""
    from axolotl.utils.schemas.config import AxolotlInputConfig

    found = AxolotlInputConfig.model_fields.items()
    return {name: sorted(_of_type(each.annotation)) for name, each in found} | {
        "lr_scheduler_kwargs." + name: ["integer", "number", "string"]
        for name in ("num_decay_steps", "min_lr_ratio", "decay_type")
    }


def litgpt() -> dict[str, list[str]]:
    """Kinds by field of ``litgpt.pretrain.setup``, its configs one level down."""
    from litgpt.pretrain import setup

    found: dict[str, list[str]] = {}
    for name, kind in typing.get_type_hints(setup).items():
        inner = [each for each in (kind, *typing.get_args(kind)) if is_dataclass(each)]
        if inner and name in ("train", "model_config"):
            hints = typing.get_type_hints(inner[0])
            for field in fields(inner[0]):
                found[f"{name}.{field.name}"] = sorted(_of_type(hints[field.name]))
        else:
            found[name] = sorted(_of_type(kind))
    for name in ("data", "optimizer"):
        found |= {f"{name}.class_path": ["string"], f"{name}.init_args": ["object"]}
    return found


def _of_type(kind: typing.Any) -> set[str]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return set().union(*(_of_type(each) for each in typing.get_args(kind)))
    if typing.get_origin(kind) is typing.Literal:
        return {NAMES[type(each)] for each in typing.get_args(kind)}
    if typing.get_origin(kind) is typing.Annotated:
        return _of_type(typing.get_args(kind)[0])
    kind = typing.get_origin(kind) or kind
    if isinstance(kind, type) and hasattr(kind, "model_fields"):
        return {"object"}
    return {NAMES.get(kind, "string")} | ({"integer"} if kind is float else set())


def main() -> None:
    """Print one tool's fields, or merge what was printed."""
    if sys.argv[1] == "merge":
        found = {
            path.stem: json.loads(path.read_text()) for path in Path(sys.argv[2]).glob("*.json")
        }
        TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return
    tool = sys.argv[1]
    print(json.dumps({"version": importlib.metadata.version(tool),
                      "source": {"axolotl": "axolotl.utils.schemas.config.AxolotlInputConfig",
                                 "litgpt": "litgpt.pretrain.setup"}[tool],
                      "fields": {"axolotl": axolotl, "litgpt": litgpt}[tool]()}))  # fmt: skip


if __name__ == "__main__":
    main()
