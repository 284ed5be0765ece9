"""What a method that changes the model does not combine with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.train.base import RunMethod, run_method_classes

if TYPE_CHECKING:
    from leadsman.runs import Recipe


def refuse_combination(name: str, recipe: Recipe) -> None:
    """Refuse a recipe in which another method changes the model too.

    Raises:
        MethodError: both are named.
    """
    for cls in run_method_classes(recipe):
        if cls.name != name and cls.prepare is not RunMethod.prepare:
            raise MethodError(f"{name} and {cls.name} both change the model; use one of them")


def refuse_start(name: str, recipe: Recipe) -> None:
    """Refuse a recipe that continues from weights the method would not use.

    Raises:
        MethodError: the recipe has a ``start``.
    """
    if recipe.start:
        raise MethodError(f"{name} begins with a model of its own; the recipe's start is not used")
