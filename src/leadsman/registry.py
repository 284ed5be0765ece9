"""Finds methods by name: built-ins by looking into their room, others by entry points.

A built-in is any public :class:`~leadsman.methods.Method` with a ``name`` defined in a module of
its room; writing the file registers it. A third party declares an entry point in the group of
the kind (``leadsman.selectors``, ``leadsman.mixers``, ``leadsman.laws``, ``leadsman.training``,
``leadsman.adapters``, ``leadsman.compressors``, ``leadsman.evaluators``) that points at a class.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import itertools
import json
import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from leadsman.errors import InputError, MethodError
from leadsman.methods import KINDS, Kind, Method

ROOMS: dict[Kind, str | tuple[str, ...]] = {
    "selector": "leadsman.select.methods",
    "mixer": "leadsman.mix.methods",
    "law": "leadsman.laws.methods",
    "training": ("leadsman.train.optimizers", "leadsman.train.methods"),
    "adapter": "leadsman.adapt",
    "compressor": "leadsman.compress",
    "evaluator": "leadsman.evaluate",
}
ENTRY_POINT_GROUPS: dict[Kind, str] = {
    kind: "leadsman.training" if kind == "training" else f"leadsman.{kind}s" for kind in KINDS
}


@cache
def methods(kind: Kind) -> dict[str, type[Method]]:
    """All methods of one kind, built in and third-party, by name in alphabetical order.

    Raises:
        MethodError: two classes claim one name, or an entry point is not a method of this kind.

    >>> "dsir" in methods("selector")
    True
    """
    found: dict[str, type[Method]] = {}
    for cls in [*_built_in(kind), *_third_party(kind)]:
        other = found.setdefault(cls.name, cls)
        if other is not cls:
            raise MethodError(
                f"two {kind}s are called {cls.name!r}: "
                f"{other.__module__}.{other.__qualname__} and {cls.__module__}.{cls.__qualname__}"
            )
    return dict(sorted(found.items()))


def method(kind: Kind, name: str) -> type[Method]:
    """The method class called ``name``.

    Raises:
        InputError: there is none; the message lists the nearest names.
    """
    known = methods(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        which = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise InputError(f"no {kind} is called {name!r}; {which}")
    return known[name]


def method_settings(cls: type[Method], given: Sequence[str]) -> dict[str, Any]:
    """Constructor arguments from ``NAME=VALUE`` each; values are JSON, or else plain text.

    Raises:
        InputError: one is no setting of this method.

    >>> method_settings(method("selector", "dsir"), ["n=3", "length_normalised=true"])
    {'n': 3, 'length_normalised': True}
    """
    known = inspect.signature(cls).parameters
    settings: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if name not in known or not equals:
            raise InputError(
                f"{item!r} is no setting of {cls.name}; those are NAME=VALUE with NAME one "
                f"of {', '.join(known) or 'none'}",
                column="--set",
            )
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def _built_in(kind: Kind) -> list[type[Method]]:
    rooms = ROOMS[kind]
    classes: list[type[Method]] = []
    for module in itertools.chain.from_iterable(
        pkgutil.iter_modules(importlib.import_module(name).__path__, f"{name}.")
        for name in ((rooms,) if isinstance(rooms, str) else rooms)
    ):
        if module.ispkg or module.name.rpartition(".")[2].startswith("_"):
            continue
        try:
            values = list(vars(importlib.import_module(module.name)).values())
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("leadsman"):
                raise
            continue  # it needs an extra that is not installed, so it offers nothing here
        classes += [
            value for value in values if _is_method(value, kind) and value.__module__ == module.name
        ]
    return classes


def _third_party(kind: Kind) -> list[type[Method]]:
    classes = []
    for point in entry_points(group=ENTRY_POINT_GROUPS[kind]):
        value = point.load()
        if not _is_method(value, kind):
            raise MethodError(
                f"entry point {point.name!r} ({point.value}) in {ENTRY_POINT_GROUPS[kind]} is no "
                f"class derived from leadsman's {kind} base with a name"
            )
        classes.append(value)
    return classes


def _is_method(value: object, kind: Kind) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Method)
        and getattr(value, "kind", None) == kind
        and isinstance(getattr(value, "name", None), str)
        and not value.__name__.startswith("_")
    )
