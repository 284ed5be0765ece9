"""What a job needs of its trainer, whether it trains one model or a stack of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from leadsman.runs import Recipe, RunStatus
from leadsman.train.base import RunMethod
from leadsman.train.feed import RecipeFeed
from leadsman.train.loop import Curve, DivergedError, Trainer
from leadsman.train.model import Decoder


class Ended(NamedTuple):
    """Why a replica stands still."""

    status: RunStatus
    reason: str


class Replicas(Protocol):
    """One or more models in training, numbered.

    Attributes:
        ended: replicas that stand still, by number.
    """

    ended: dict[int, Ended]

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        ...

    @property
    def seconds(self) -> float:
        """Time spent training."""
        ...

    @property
    def curves(self) -> list[Curve]:
        """The curve of each replica."""
        ...

    @property
    def feeds(self) -> Sequence[RecipeFeed]:
        """The data of each replica."""
        ...

    def advance(
        self, recipes: Sequence[Recipe], stop: int, *, after_step: Callable[[], None]
    ) -> None:
        """Step until ``stop`` steps are done or every replica has ended."""
        ...

    def freeze(self, number: int, status: RunStatus, reason: str) -> None:
        """Let a replica stand still from now on."""
        ...

    def evaluated(self, number: int) -> Any:
        """A context with the plain model of a replica."""
        ...

    def train_flops(self, recipe: Recipe, number: int) -> float:
        """Training compute of a replica's run."""
        ...

    def state(self, *, copied: bool = True) -> dict[str, Any]:
        """All that the next step depends on; a view of it if not ``copied``."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        ...


class OneReplica:
    """A :class:`~leadsman.train.loop.Trainer` as :class:`Replicas`."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.ended: dict[int, Ended] = {}

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.trainer.step

    @property
    def seconds(self) -> float:
        """Time spent training."""
        return self.trainer.seconds

    @property
    def curves(self) -> list[Curve]:
        """The one curve."""
        return [self.trainer.curve]

    @property
    def feeds(self) -> list[RecipeFeed]:
        """The one feed."""
        return [self.trainer.feed]

    def advance(
        self, recipes: Sequence[Recipe], stop: int, *, after_step: Callable[[], None]
    ) -> None:
        """Step until ``stop`` steps are done, the loss diverges or the run is frozen."""
        while self.trainer.step < stop and not self.ended:
            try:
                self.trainer.advance(recipes[0], self.trainer.step + 1, after_step=after_step)
            except DivergedError as error:
                self.freeze(0, "failed", str(error))

    def freeze(self, number: int, status: RunStatus, reason: str) -> None:
        """Let the run stand still."""
        self.ended[number] = Ended(status, reason)

    @contextmanager
    def evaluated(self, number: int) -> Iterator[Decoder]:
        """The plain model."""
        with self.trainer.evaluated() as model:
            yield model

    def train_flops(self, recipe: Recipe, number: int) -> float:
        """Compute by the lengths that were read, or as a method counts it."""
        flops = self.trainer.feed.flops(recipe.steps)
        for method in self.trainer.methods:
            if type(method).train_flops is not RunMethod.train_flops:
                flops = method.train_flops(recipe)
        return flops

    def state(self, *, copied: bool = True) -> dict[str, Any]:
        """The trainer's state, and whether it stands still."""
        ended = {number: tuple(end) for number, end in self.ended.items()}
        return self.trainer.state(copied=copied) | {"ended": ended}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        self.trainer.load({name: value for name, value in state.items() if name != "ended"})
        self.ended = {number: Ended(*end) for number, end in state["ended"].items()}
