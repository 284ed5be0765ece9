"""The training loop of one model: step, schedule, clip, and an exact state.

Everything a step does follows from the recipe and the step's number, so a state taken anywhere
and loaded anywhere else continues to the same losses: bitwise on the same machine with the same
number of threads. The first learning-rate-independent part of several recipes can be shared by
stepping with one of them and continuing from a state with another (:mod:`leadsman.train.ladder`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl
import torch
from torch import Tensor

from leadsman.errors import InputError, LeadsmanError
from leadsman.registry import methods
from leadsman.runs import Recipe
from leadsman.train.base import OptimizerMethod
from leadsman.train.feed import Feed
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize
from leadsman.train.schedule import lr_at
from leadsman.train.tokens import TokenSet

MICRO_TOKENS = {"cpu": 8192, "cuda": 65_536}
MAX_COMPILED_SHAPES = 64


class DivergedError(LeadsmanError):
    """The loss of a run became infinite, or larger than knowing nothing."""


@dataclass
class Curve:
    """Training loss by step, as it goes into the ledger.

    Attributes:
        tokens, loss, lr: after each step; loss in nats per token, lr at the reference width.
    """

    tokens: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)

    def frame(self) -> pl.DataFrame:
        """Columns ``step`` (from 1), ``tokens``, ``loss``, ``lr``."""
        steps = list(range(1, len(self.tokens) + 1))
        return pl.DataFrame(
            {"step": steps, "tokens": self.tokens, "loss": self.loss, "lr": self.lr},
            schema={"step": pl.Int64, "tokens": pl.Int64, "loss": pl.Float64, "lr": pl.Float64},
        )


class Trainer:
    """One model in training.

    Args:
        recipe: what to train; ``tokens`` only matters through :meth:`advance`.
        sources: token sets by source name.
        device: ``cpu`` or ``cuda``.
        compiled: run forward and backward through ``torch.compile``.

    Attributes:
        model: the decoder.
        step: optimizer steps done.
        curve: loss of each step done.
        seconds: time spent in :meth:`advance`.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: Mapping[str, TokenSet],
        *,
        device: str = "cpu",
        compiled: bool = False,
    ) -> None:
        for name in recipe.methods:
            if name != recipe.optimizer:
                raise InputError(
                    f"{name!r} is not the optimizer's name; a run takes the options of its "
                    f"optimizer here",
                    column="methods",
                )
        self.recipe, self.device = recipe, torch.device(device)
        self.feed = Feed(
            sources,
            recipe.mixture,
            seq_len=recipe.shape.seq_len,
            vocab_size=recipe.shape.vocab_size,
            seed=recipe.seed,
        )
        self.model = Decoder(recipe.shape)
        initialize(self.model, seed=recipe.seed)
        self.model.to(self.device)
        self.optimizer = build_optimizer(self.model, recipe)
        self.step, self.curve, self.seconds = 0, Curve(), 0.0
        self._loss = compiled_loss() if compiled else Decoder.loss

    def advance(
        self, recipe: Recipe, stop: int, *, after_step: Callable[[], None] = lambda: None
    ) -> None:
        """Step until ``stop`` steps are done, with the schedule of ``recipe``.

        Args:
            recipe: equal to the trainer's up to ``tokens``.
            stop: number of steps done at the end.
            after_step: called after each step.

        Raises:
            DivergedError: the loss is not finite, or over twice that of a uniform guess.
        """
        began, before = time.perf_counter(), self.seconds
        while self.step < stop:
            lr = lr_at(recipe, self.step)
            loss = self._one_step(lr)
            self.step += 1
            self.curve.tokens.append(self.step * recipe.batch_tokens)
            self.curve.loss.append(loss)
            self.curve.lr.append(lr)
            self.seconds = before + time.perf_counter() - began
            if not loss < 2 * math.log(recipe.shape.vocab_size):
                raise DivergedError(
                    f"diverged at step {self.step}: loss {loss:.3g} nats per token with lr "
                    f"{recipe.lr:g}; lower lr or lengthen the warm-up"
                )
            after_step()

    def _one_step(self, lr: float) -> float:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        count = recipe.batch_tokens // recipe.shape.seq_len
        batch = torch.from_numpy(self.feed.sequences(self.step * count, count)).to(self.device)
        micro = micro_sequences(count, recipe.shape.seq_len, self.device.type)
        total = torch.zeros((), device=self.device)
        for first in range(0, count, micro):
            part = batch[first : first + micro]
            with torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16"
            ):
                loss = self._loss(self.model, part[:, :-1], part[:, 1:])
            torch.autograd.backward(loss * (micro / count))
            total += loss.detach() * (micro / count)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(total)

    def state(self) -> dict[str, Any]:
        """A copy of all that the next step depends on, and the curve."""
        return copy.deepcopy(
            {
                "step": self.step,
                "seconds": self.seconds,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "curve": vars(self.curve),
            }
        )

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`, which is left untouched."""
        state = copy.deepcopy(dict(state))
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.curve = Curve(**state["curve"])


def build_optimizer(model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over the model's parameter groups.

    Raises:
        InputError: the optimizer or one of its options is not known.
        MethodError: an option is out of bounds, or the model cannot be trained with it.
    """
    known = {
        name: cls for name, cls in methods("training").items() if issubclass(cls, OptimizerMethod)
    }
    if recipe.optimizer not in known:
        raise InputError(
            f"no optimizer is called {recipe.optimizer!r}; there are {', '.join(known)}",
            column="optimizer",
        )
    options = dict(recipe.methods.get(recipe.optimizer, {}))
    try:
        chosen = known[recipe.optimizer](**options)
    except TypeError as error:
        raise InputError(f"{error}", column=f"methods.{recipe.optimizer}") from error
    return chosen.apply(model, recipe)


def micro_sequences(sequences: int, seq_len: int, device: str) -> int:
    """Sequences in one forward pass: the largest divisor of the batch within MICRO_TOKENS."""
    limit = max(1, MICRO_TOKENS[device] // seq_len)
    return max(n for n in range(1, sequences + 1) if sequences % n == 0 and n <= limit)


def compiled_loss() -> Callable[[Decoder, Tensor, Tensor], Tensor]:
    """``Decoder.loss`` through ``torch.compile``: one graph a shape, shared by all models of it."""
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, MAX_COMPILED_SHAPES)
    return cast(
        Callable[[Decoder, Tensor, Tensor], Tensor], torch.compile(Decoder.loss, dynamic=False)
    )
