"""The promise of every constructor here: hyperparameters are stored untouched."""

from __future__ import annotations

import inspect

from leadsman.methods import Method


def check_hyperparameters(method: Method) -> None:
    """Assert that each constructor argument is an attribute of its name, and stored as it came.

    Args:
        method: an instance; another is made from what it stores, which must store the same
            objects.
    """
    parameters = inspect.signature(type(method)).parameters
    stored = {name: getattr(method, name) for name in parameters}
    again = type(method)(**stored)
    for name, value in stored.items():
        assert getattr(again, name) is value, f"{name} is not stored as it came"
    for name, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            plain = type(method)(**{each: stored[each] for each in stored if each != name})
            assert getattr(plain, name) == parameter.default, f"the default of {name} is changed"
