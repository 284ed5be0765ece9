"""The shapes of a training method: an optimizer, or something that acts on a run.

A method is one file in ``train/methods`` or ``train/optimizers``, switched on in a recipe by its
name: ``optimizer: lion``, or ``methods: {sltrain: {rank: 8}}``. Options of an optimizer stand under
its own name in ``methods``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from leadsman.errors import InputError, MethodError
from leadsman.methods import Kind, Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from leadsman.runs import ModelShape, Recipe
    from leadsman.train.model import Decoder


class TrainingMethod(Method, ABC):
    """Base of all training methods."""

    kind: ClassVar[Kind] = "training"


class OptimizerMethod(TrainingMethod):
    """Builds a torch optimizer for a model.

    The loop sets each group's ``lr`` to the schedule's times the group's ``lr_scale``; groups come
    from :func:`leadsman.train.parametrization.param_groups`, so muP's rates hold for every
    optimizer whose update, as Adam's, does not depend on the gradient's size and has a spectral
    norm in proportion to the width (Muon's grows as its square root).

    Attributes:
        state_numbers: numbers kept for each trained parameter of a block matrix, 4 bytes each.
    """

    state_numbers: ClassVar[int] = 2

    @abstractmethod
    def apply(self, model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
        """The optimizer, its groups each with ``lr_scale``.

        Raises:
            MethodError: hyperparameters this model cannot be trained with.
        """

    def state_bytes(self, shape: ModelShape) -> int:
        """Bytes of optimizer state for a plain model of ``shape``, in float32."""
        return 4 * self.state_numbers * shape.params


class Training(Protocol):
    """What a method sees of the run it acts on: a :class:`leadsman.train.loop.Trainer`.

    Attributes:
        recipe: what is trained.
        step: optimizer steps done.
        model, optimizer, device: as they are now.
    """

    recipe: Recipe
    step: int
    model: Decoder
    optimizer: torch.optim.Optimizer
    device: torch.device

    def replace_model(self, model: Decoder) -> None:
        """Go on with another model, its optimizer state empty."""

    def evaluated(self) -> AbstractContextManager[Decoder]:
        """The plain Llama that training has come to."""


class RunMethod(TrainingMethod):
    """Acts on a run at fixed places of the training loop; every verb may be left as it is.

    A method's object belongs to one run and may keep state, which :meth:`state` and :meth:`load`
    make part of the checkpoint. Times are given in tokens or steps, not as shares of the run, so
    that runs of several lengths share a trunk; a method that must know the length says so.

    Attributes:
        knows_length: what it does depends on ``recipe.tokens``; such runs are never branched.
    """

    knows_length: ClassVar[bool] = False

    def prepare(self, model: Decoder, recipe: Recipe) -> Decoder:
        """The model to train, given the initialised one; the optimizer is built on the result.

        Raises:
            MethodError: this model cannot be trained with the method.
        """
        return model

    def reduce(self, losses: Tensor, trainer: Training) -> Tensor:
        """The scalar to minimise, of token losses ``[sequences, seq_len]`` in nats.

        Only called where a subclass defines it; the curve keeps the plain mean.
        """
        return losses.mean()

    def before_step(self, trainer: Training) -> None:
        """Called before the batch is read; ``trainer.step`` steps are done."""

    def after_step(self, trainer: Training) -> None:
        """Called after each optimizer step; may call :meth:`Trainer.replace_model`."""

    def restructure(self, trainer: Training, step: int) -> None:
        """Give ``trainer.model`` the parameters it has after ``step`` steps, whatever their values.

        Called before a checkpoint of that step is loaded; only growing methods need it.
        """

    def finish(self, model: Decoder) -> Decoder:
        """The plain Llama that is evaluated and saved; the given model is left as it is."""
        return model

    def params(self, shape: ModelShape) -> int:
        """Trained parameters where the recipe's shape is ``shape``, the most during the run."""
        return shape.params

    def index_bytes(self, shape: ModelShape) -> int:
        """Bytes of what the model keeps beside its trained parameters."""
        return 0

    def train_flops(self, recipe: Recipe) -> float:
        """Training compute with this method, where it is not that of the recipe's shape."""
        return recipe.flops

    def state(self) -> dict[str, Any]:
        """What a restart needs: tensors and plain values (a copy)."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`."""


def require(value: float, name: str, *, above: float = 0.0, below: float = float("inf")) -> None:
    """Check a hyperparameter: ``above < value < below``.

    Raises:
        MethodError: it is not; the message names it and the bounds.

    >>> require(0.9, "beta", below=1)
    """
    if not above < value < below:
        raise MethodError(f"{name} must be between {above:g} and {below:g}, not {value!r}")


def run_method_classes(recipe: Recipe) -> list[type[RunMethod]]:
    """The classes of the methods that act on a recipe's run, by name.

    Raises:
        InputError: one is not known, and is not the optimizer's name either.
    """
    from leadsman.registry import methods

    names = [name for name in sorted(recipe.methods) if name != recipe.optimizer]
    if not names:
        return []
    known = {name: cls for name, cls in methods("training").items() if issubclass(cls, RunMethod)}
    for name in names:
        if name not in known:
            raise InputError(
                f"{name!r} is not the optimizer's name, nor a method that acts on a run; these "
                f"are {', '.join(known) or 'not installed'}",
                column="methods",
            )
    return [known[name] for name in names]
