"""K models of one shape trained together as one batched computation.

On a GPU one tiny model leaves nearly everything idle; K of them side by side fill it. Each replica
has its own seed, data order, mixture, learning rate, schedule, weight decay and clipping, and its
own AdamW state; its losses are those of training alone within floating-point tolerance, on the
same batches. A replica that diverges is frozen where it stands and reported; the others go on.

AdamW (Loshchilov & Hutter 2019), per replica k with learning rate ``a_k`` and decay ``d_k``:

    p <- (1 - a_k d_k) p - a_k (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leadsman.errors import InputError
from leadsman.runs import MODEL_VERSION, Recipe, RunStatus
from leadsman.train.feed import open_feed
from leadsman.train.ladder.replicas import Ended
from leadsman.train.loop import Curve, compiled_losses, divergence
from leadsman.train.micro_batches import micro_sequences
from leadsman.train.model import Decoder
from leadsman.train.optimizers.adamw import AdamW
from leadsman.train.parametrization import initialize, scale_and_decay
from leadsman.train.schedule import lr_at
from leadsman.train.tokens import TokenSet

ADAMW = AdamW()
"""Defaults of the optimizer; stacked recipes have no options of their own."""


class StackedTrainer:
    """Several recipes of one shape in training; a :class:`~leadsman.train.ladder.Replicas`.

    Args:
        recipes: equal in what :func:`stack_key` tells; AdamW without options.
        sources: token sets by source name.
        device: ``cpu`` or ``cuda``.
        compiled: run forward and backward through ``torch.compile``.

    Attributes:
        model: the decoder, one replica a recipe.
        step: steps done.
        seconds: time spent in :meth:`advance`.
        curves: of each replica.
        feeds: of each replica.
        ended: those that diverged or were stopped, by number; they stand still.

    Raises:
        InputError: recipes that cannot be stacked; the reason is told.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        sources: Mapping[str, TokenSet],
        *,
        device: str = "cpu",
        compiled: bool = False,
    ) -> None:
        first = recipes[0]
        for recipe in recipes:
            if reason := unstackable(recipe):
                raise InputError(reason, column="recipes")
            if stack_key(recipe) != stack_key(first):
                raise InputError(
                    "stacked recipes must agree in shape, tokens, batches, packing and precision",
                    column="recipes",
                )
        self.recipes, self.device = list(recipes), torch.device(device)
        self.feeds = [open_feed(recipe, sources) for recipe in recipes]
        self.model = Decoder(first.shape, replicas=len(recipes))
        initialize(self.model, seed=[recipe.seed for recipe in recipes])
        self.model.to(self.device)
        self.step, self.seconds = 0, 0.0
        self.curves = [Curve() for _ in recipes]
        self.ended: dict[int, Ended] = {}
        self._alive = torch.ones(len(recipes), dtype=torch.bool, device=self.device)
        self._clip = torch.tensor([recipe.grad_clip for recipe in recipes], device=self.device)
        self._states = [
            _State(name, param, recipes) for name, param in self.model.named_parameters()
        ]
        self._losses = compiled_losses() if compiled else Decoder.token_losses

    def advance(
        self,
        recipes: Sequence[Recipe],
        stop: int,
        *,
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Step until ``stop`` steps are done or every replica has ended.

        Args:
            recipes: one a replica, equal to the trainer's up to ``tokens``.
            stop: number of steps done at the end.
            after_step: called after each step.
        """
        began, before = time.perf_counter(), self.seconds
        while self.step < stop and len(self.ended) < len(self.recipes):
            lrs = [lr_at(recipe, self.step) for recipe in recipes]
            losses, each = self._one_step(torch.tensor(lrs, device=self.device))
            self.step += 1
            self._record(losses, each, lrs)
            self.seconds = before + time.perf_counter() - began
            after_step()

    def freeze(self, number: int, status: RunStatus, reason: str) -> None:
        """Let a replica stand still from now on."""
        self.ended[number] = Ended(status, reason)
        self._alive[number] = False

    @contextmanager
    def evaluated(self, number: int) -> Iterator[Decoder]:
        """A replica as a model of its own."""
        yield self.model.replica(number)

    def train_flops(self, recipe: Recipe, number: int) -> float:
        """Training compute of a replica's run."""
        return self.feeds[number].flops(recipe.steps)

    def state(self, *, copied: bool = True) -> dict[str, Any]:
        """All that the next step depends on, and the curves; a view of it if not ``copied``."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "moments": [(state.mean, state.square) for state in self._states],
            "alive": self._alive,
            "ended": {number: tuple(end) for number, end in self.ended.items()},
            "curves": [vars(curve) for curve in self.curves],
        }
        return copy.deepcopy(state) if copied else state

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`, which is left untouched."""
        state = copy.deepcopy(dict(state))
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        for own, (mean, square) in zip(self._states, state["moments"], strict=True):
            own.mean, own.square = mean, square
        self._alive = state["alive"]
        self.ended = {number: Ended(*end) for number, end in state["ended"].items()}
        self.curves = [Curve(**curve) for curve in state["curves"]]

    def _record(
        self, losses: Sequence[float], each: Sequence[list[float]], lrs: Sequence[float]
    ) -> None:
        alive = self._alive.tolist()
        for number, (recipe, loss, lr) in enumerate(zip(self.recipes, losses, lrs, strict=True)):
            if number in self.ended:
                continue
            self.curves[number].add(
                tokens=recipe.batches.tokens_at(self.step),
                lr=lr,
                loss=loss,
                sources=self.feeds[number].sources_of(self.step - 1),
                each=each[number],
            )
            if not alive[number]:
                self.ended[number] = Ended("failed", divergence(recipe, self.step, loss))

    def _one_step(self, lrs: Tensor) -> tuple[list[float], list[list[float]]]:
        """The mean loss of each replica, and that of each of its sequences."""
        recipe = self.recipes[0]
        rows = np.stack([feed.batch(self.step) for feed in self.feeds])
        batch = torch.from_numpy(rows).to(self.device)
        count, length = batch.shape[1], batch.shape[2] - 1
        micro = micro_sequences(count, length, self.device.type, replicas=len(self.recipes))
        total, each = torch.zeros(len(self.recipes), device=self.device), []
        cast = torch.autocast(self.device.type, dtype=torch.bfloat16)
        for first in range(0, count, micro):
            part = batch[:, first : first + micro]
            with cast if recipe.precision == "bf16" else nullcontext():
                losses = self._losses(
                    self.model, part[..., :-1], part[..., 1:], self.feeds[0].separator
                )
            loss = losses.flatten(1).mean(dim=1) * (micro / count)
            torch.autograd.backward(loss.sum())
            total += loss.detach()
            each.append(losses.detach().mean(dim=-1))
        self._update(lrs, total)
        return total.tolist(), torch.cat(each, dim=1).tolist()

    @torch.no_grad()
    def _update(self, lrs: Tensor, losses: Tensor) -> None:
        """Step every replica whose loss and gradient are sound; the others stay as they are."""
        norms = torch.stack([state.grad_square() for state in self._states]).sum(0).sqrt()
        limit = 2 * math.log(self.recipes[0].shape.vocab_size)
        self._alive &= (losses < limit) & torch.isfinite(norms)
        clip = (self._clip / (norms + 1e-6)).clamp(max=1.0)
        for state in self._states:
            state.update(lrs, clip, self._alive, self.step + 1)


def stack_key(recipe: Recipe) -> tuple[Any, ...]:
    """What recipes of one stack agree in: recipes with equal keys step together."""
    ramp = (recipe.schedule.ramp_start_tokens, recipe.schedule.ramp_tokens)
    return recipe.shape, recipe.tokens, recipe.batch_tokens, ramp, recipe.packing, recipe.precision


def unstackable(recipe: Recipe) -> str:
    """Why a recipe cannot be trained in a stack; empty if it can."""
    if recipe.optimizer != "adamw" or recipe.methods:
        return "only AdamW with its default options is stacked"
    if recipe.packing.name == "buckets":
        return "buckets are not stacked: each run draws its own lengths"
    if recipe.start:
        return "runs that continue others are not stacked"
    if recipe.model_version != MODEL_VERSION:
        return f"recipes of model version {recipe.model_version} are not trained any more"
    return ""


class _State:
    """One stacked parameter with its AdamW moments."""

    def __init__(self, name: str, param: Tensor, recipes: Sequence[Recipe]) -> None:
        self.param = param
        self.mean, self.square = torch.zeros_like(param), torch.zeros_like(param)
        scales = [scale_and_decay(name, recipe) for recipe in recipes]
        self.scale = self._per_replica(torch.tensor([scale for scale, _ in scales]))
        self.decay = self._per_replica(torch.tensor([decay for _, decay in scales]))

    def _per_replica(self, values: Tensor) -> Tensor:
        return values.to(self.param.device).view(-1, *[1] * (self.param.dim() - 1))

    def grad_square(self) -> Tensor:
        """Squared norm of each replica's gradient, ``[replicas]``."""
        assert self.param.grad is not None
        return self.param.grad.flatten(1).square().sum(1)

    def update(self, lrs: Tensor, clip: Tensor, alive: Tensor, step: int) -> None:
        """One AdamW step; replicas that are not alive keep their parameters and moments."""
        assert self.param.grad is not None
        grad = self.param.grad * self._per_replica(clip)
        lr = self._per_replica(lrs) * self.scale
        keep = self._per_replica(alive)
        beta1, beta2, eps = ADAMW.beta1, ADAMW.beta2, ADAMW.eps
        mean = torch.where(keep, torch.lerp(self.mean, grad, 1 - beta1), self.mean)
        square = torch.where(keep, self.square * beta2 + grad.square() * (1 - beta2), self.square)
        scaled = (square / (1 - beta2**step)).sqrt() + eps
        moved = self.param * (1 - lr * self.decay) - lr / (1 - beta1**step) * mean / scaled
        self.param.copy_(torch.where(keep, moved, self.param))
        self.mean, self.square = mean, square
        self.param.grad = None
