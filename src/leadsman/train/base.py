"""The two shapes of a training method: one that changes the model, one that steps it.

A method is one file in ``train/methods`` or ``train/optimizers``, switched on in a recipe by its
name: ``optimizer: lion``, or ``methods: {sltrain: {rank: 8}}``. Options of an optimizer stand under
its own name in ``methods``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from leadsman.errors import MethodError
from leadsman.methods import Kind, Method

if TYPE_CHECKING:
    import torch

    from leadsman.runs import Recipe
    from leadsman.train.model import Decoder


class TrainingMethod(Method, ABC):
    """Base of all training methods."""

    kind: ClassVar[Kind] = "training"


class OptimizerMethod(TrainingMethod):
    """Builds a torch optimizer for a model.

    The loop sets each group's ``lr`` to the schedule's times the group's ``lr_scale``; groups come
    from :func:`leadsman.train.parametrization.param_groups`, so muP holds for every optimizer
    whose update does not grow with the gradient's size.
    """

    @abstractmethod
    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """The optimizer, its groups each with ``lr_scale``.

        Raises:
            MethodError: hyperparameters this model cannot be trained with.
        """


def require(value: float, name: str, *, above: float = 0.0, below: float = float("inf")) -> None:
    """Check a hyperparameter: ``above < value < below``.

    Raises:
        MethodError: it is not; the message names it and the bounds.

    >>> require(0.9, "beta", below=1)
    """
    if not above < value < below:
        raise MethodError(f"{name} must be between {above:g} and {below:g}, not {value!r}")
