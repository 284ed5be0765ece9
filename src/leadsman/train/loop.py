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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl
import torch
from torch import Tensor

from leadsman.errors import LeadsmanError
from leadsman.runs import Recipe
from leadsman.train.base import RunMethod
from leadsman.train.build import build_optimizer, initial_model, run_methods
from leadsman.train.feed import open_feed
from leadsman.train.micro_batches import micro_sequences
from leadsman.train.model import Decoder
from leadsman.train.schedule import lr_at
from leadsman.train.tokens import TokenSet

MAX_COMPILED_SHAPES = 64


class DivergedError(LeadsmanError):
    """The loss of a run became infinite, or larger than knowing nothing."""


@dataclass
class Curve:
    """Training loss by step, as it goes into the ledger.

    Attributes:
        tokens, loss, lr: after each step; loss in nats per token, lr at the reference width.
        by_source: mean loss of each step's sequences of a source; not a number if it had none.
    """

    tokens: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    by_source: dict[str, list[float]] = field(default_factory=dict)

    def add(
        self, *, tokens: int, lr: float, loss: float, sources: list[str], each: list[float]
    ) -> None:
        """Note a step: its loss, and source and loss of each of its sequences."""
        parts: dict[str, list[float]] = {}
        for source, value in zip(sources, each, strict=True):
            parts.setdefault(source, []).append(value)
        for name in parts.keys() - self.by_source.keys():
            self.by_source[name] = [math.nan] * len(self.tokens)
        for name, means in self.by_source.items():
            part = parts.get(name)
            means.append(sum(part) / len(part) if part else math.nan)
        self.tokens.append(tokens)
        self.loss.append(loss)
        self.lr.append(lr)

    def frame(self) -> pl.DataFrame:
        """Columns ``step`` (from 1), ``tokens``, ``loss``, ``lr``; several sources: ``loss.NAME``.

        The loss of a source is null where the step had no sequence of it.
        """
        steps = list(range(1, len(self.tokens) + 1))
        frame = pl.DataFrame(
            {"step": steps, "tokens": self.tokens, "loss": self.loss, "lr": self.lr},
            schema={"step": pl.Int64, "tokens": pl.Int64, "loss": pl.Float64, "lr": pl.Float64},
        )
        if len(self.by_source) < 2:
            return frame
        return frame.with_columns(
            pl.Series(f"loss.{name}", means, pl.Float64).fill_nan(None)
            for name, means in sorted(self.by_source.items())
        )


class Trainer:
    """One model in training.

    Args:
        recipe: what to train; ``tokens`` only matters through :meth:`advance`.
        sources: token sets by source name.
        device: ``cpu`` or ``cuda``.
        compiled: run forward and backward through ``torch.compile``.
        start: the model a recipe with ``start`` continues from; taken over.

    Attributes:
        model: the decoder.
        methods: what acts on the run, in order of name.
        step: optimizer steps done.
        curve: loss of each step done.
        seconds: time spent in :meth:`advance`.

    Raises:
        InputError: sources, optimizer or methods that cannot be.
        MethodError: a method that cannot be used on this model.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: Mapping[str, TokenSet],
        *,
        device: str = "cpu",
        compiled: bool = False,
        start: Decoder | None = None,
    ) -> None:
        self.recipe, self.device = recipe, torch.device(device)
        self.methods = run_methods(recipe)
        self.feed = open_feed(recipe, sources)
        self.model = initial_model(recipe, start)
        for method in self.methods:
            self.model = method.prepare(self.model, recipe)
        self.model.to(self.device)
        self.optimizer = build_optimizer(self.model, recipe)
        self.step, self.curve, self.seconds = 0, Curve(), 0.0
        self._losses = compiled_losses() if compiled else Decoder.token_losses
        self._reducers = [m for m in self.methods if type(m).reduce is not RunMethod.reduce]

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
            for method in self.methods:
                method.before_step(self)
            loss, each = self._one_step(lr)
            sources = self.feed.sources_of(self.step)
            self.step += 1
            for method in self.methods:
                method.after_step(self)
            tokens = recipe.batches.tokens_at(self.step)
            self.curve.add(tokens=tokens, lr=lr, loss=loss, sources=sources, each=each)
            self.seconds = before + time.perf_counter() - began
            if not loss < 2 * math.log(recipe.shape.vocab_size):
                raise DivergedError(divergence(recipe, self.step, loss))
            after_step()

    def _one_step(self, lr: float) -> tuple[float, list[float]]:
        """The mean loss, and that of each sequence."""
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        batch = torch.from_numpy(self.feed.batch(self.step)).to(self.device)
        count, length = batch.shape[0], batch.shape[1] - 1
        micro = micro_sequences(count, length, self.device.type)
        total, each = torch.zeros((), device=self.device), []
        for first in range(0, count, micro):
            part = batch[first : first + micro]
            with torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16"
            ):
                losses = self._losses(self.model, part[:, :-1], part[:, 1:], self.feed.separator)
            mean = losses.mean()
            torch.autograd.backward(self._reduce(losses, mean) * (micro / count))
            total += mean.detach() * (micro / count)
            each.append(losses.detach().mean(dim=-1))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip)
        if hasattr(self.optimizer, "observe"):
            self.optimizer.observe(part)  # second-order optimizers look at a batch themselves
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(total), torch.cat(each).tolist()

    def _reduce(self, losses: Tensor, mean: Tensor) -> Tensor:
        return self._reducers[0].reduce(losses, self) if self._reducers else mean

    def replace_model(self, model: Decoder) -> None:
        """Go on with another model, its optimizer state empty; for methods that grow one."""
        self.model = model.to(self.device)
        self.optimizer = build_optimizer(self.model, self.recipe)

    @contextmanager
    def evaluated(self) -> Iterator[Decoder]:
        """The plain Llama that training has come to, for evaluation and saving.

        An optimizer that averages its iterates (one with ``eval`` and ``train``) shows the average
        meanwhile.
        """
        averages = hasattr(self.optimizer, "eval") and hasattr(self.optimizer, "train")
        if averages:
            cast(Any, self.optimizer).eval()
        model = self.model
        for method in reversed(self.methods):
            model = method.finish(model)
        try:
            yield model
        finally:
            if averages:
                cast(Any, self.optimizer).train()

    def state(self, *, copied: bool = True) -> dict[str, Any]:
        """All that the next step depends on, and the curve; a view of it if not ``copied``."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "methods": [method.state() for method in self.methods],
            "curve": vars(self.curve),
        }
        return copy.deepcopy(state) if copied else state

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`, which is left untouched."""
        state = copy.deepcopy(dict(state))
        self.step, self.seconds = state["step"], state["seconds"]
        for method, kept in zip(self.methods, state["methods"], strict=True):
            method.restructure(self, self.step)
            method.load(kept)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.curve = Curve(**state["curve"])


def divergence(recipe: Recipe, step: int, loss: float) -> str:
    """What to say of a run that diverged."""
    return (
        f"diverged at step {step}: loss {loss:.3g} nats per token with lr {recipe.lr:g}; "
        f"lower lr or lengthen the warm-up"
    )


def compiled_losses() -> Callable[[Decoder, Tensor, Tensor, int | None], Tensor]:
    """``Decoder.token_losses`` compiled: one graph a shape, shared by all models of it."""
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, MAX_COMPILED_SHAPES)
    compiled = torch.compile(Decoder.token_losses, dynamic=False)
    return cast(Callable[[Decoder, Tensor, Tensor, int | None], Tensor], compiled)
