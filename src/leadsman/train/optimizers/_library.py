"""Optimizers kept by others: the ``pytorch_optimizer`` package (Apache-2.0)."""

from __future__ import annotations

from typing import Any

import torch

from leadsman.errors import MissingExtraError
from leadsman.runs import Recipe
from leadsman.train.model import Decoder
from leadsman.train.parametrization import param_groups


def from_library(
    class_name: str, model: Decoder, recipe: Recipe, **options: Any
) -> torch.optim.Optimizer:
    """An optimizer of ``pytorch_optimizer`` over the model's parameter groups.

    Raises:
        MissingExtraError: the package is not installed.
    """
    chosen: torch.optim.Optimizer = library_class(class_name)(
        param_groups(model, recipe), **options
    )
    return chosen


def library_class(class_name: str) -> Any:
    """A class of ``pytorch_optimizer``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        import pytorch_optimizer
    except ImportError as error:
        raise MissingExtraError("train", f"optimizer {class_name}") from error
    return getattr(pytorch_optimizer, class_name)
