"""K models of one shape trained together as one batched computation.

On a GPU one tiny model leaves nearly everything idle; K of them side by side fill it. Each replica
has its own seed, data order, mixture, learning rate, schedule, weight decay and clipping, and its
own AdamW state; its losses are those of training alone within floating-point tolerance, on the
same batches. A replica that diverges is frozen where it stands and reported; the others go on.

AdamW (Loshchilov & Hutter 2019), per replica k with learning rate ``a_k`` and decay ``d_k``:

    p <- (1 - a_k d_k) p - a_k (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from leadsman.errors import InputError
from leadsman.runs import Recipe
from leadsman.train.feed import Feed
from leadsman.train.loop import Curve, compiled_loss, micro_sequences
from leadsman.train.model import Decoder
from leadsman.train.optimizers.adamw import AdamW
from leadsman.train.parametrization import initialize, scale_and_decay
from leadsman.train.schedule import lr_at
from leadsman.train.tokens import TokenSet

ADAMW = AdamW()
"""Defaults of the optimizer; stacked recipes have no options of their own."""


class StackedTrainer:
    """Several recipes of one shape in training.

    Args:
        recipes: equal in shape, tokens, batch_tokens and precision; AdamW.
        sources: token sets by source name.
        device: ``cpu`` or ``cuda``.
        compiled: run forward and backward through ``torch.compile``.

    Attributes:
        model: the decoder, one replica a recipe.
        step: steps done.
        curves: of each replica.
        failures: reason, by replica, of those that diverged.

    Raises:
        InputError: recipes that cannot be stacked.
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
        for field in ("shape", "tokens", "batch_tokens", "precision"):
            if len({getattr(recipe, field) for recipe in recipes}) > 1:
                raise InputError("stacked recipes must agree in this field", column=field)
        if any(recipe.optimizer != "adamw" or recipe.methods for recipe in recipes):
            raise InputError("only AdamW with its default options is stacked", column="optimizer")
        self.recipes, self.device = list(recipes), torch.device(device)
        shape = first.shape
        self.feeds = [
            Feed(
                sources,
                recipe.mixture,
                seq_len=shape.seq_len,
                vocab_size=shape.vocab_size,
                seed=recipe.seed,
            )
            for recipe in recipes
        ]
        self.model = Decoder(shape, replicas=len(recipes))
        initialize(self.model, seed=[recipe.seed for recipe in recipes])
        self.model.to(self.device)
        self.step, self.curves = 0, [Curve() for _ in recipes]
        self.failures: dict[int, str] = {}
        self._alive = torch.ones(len(recipes), dtype=torch.bool, device=self.device)
        self._clip = torch.tensor([recipe.grad_clip for recipe in recipes], device=self.device)
        self._states = [
            _State(name, param, recipes) for name, param in self.model.named_parameters()
        ]
        self._loss = compiled_loss() if compiled else Decoder.loss

    def advance(self, stop: int) -> None:
        """Step until ``stop`` steps are done or every replica has diverged."""
        while self.step < stop and len(self.failures) < len(self.recipes):
            lrs = [lr_at(recipe, self.step) for recipe in self.recipes]
            losses = self._one_step(torch.tensor(lrs, device=self.device)).tolist()
            self.step += 1
            self._record(losses, lrs)

    def _record(self, losses: Sequence[float], lrs: Sequence[float]) -> None:
        alive = self._alive.tolist()
        for number, (recipe, loss, lr) in enumerate(zip(self.recipes, losses, lrs, strict=True)):
            if number in self.failures:
                continue
            curve = self.curves[number]
            curve.tokens.append(self.step * recipe.batch_tokens)
            curve.loss.append(loss)
            curve.lr.append(lr)
            if not alive[number]:
                self.failures[number] = (
                    f"diverged at step {self.step}: loss {loss:.3g} nats per token with lr "
                    f"{recipe.lr:g}; lower lr or lengthen the warm-up"
                )

    def _one_step(self, lrs: Tensor) -> Tensor:
        recipe = self.recipes[0]
        count = recipe.batch_tokens // recipe.shape.seq_len
        rows = np.stack([feed.sequences(self.step * count, count) for feed in self.feeds])
        batch = torch.from_numpy(rows).to(self.device)
        micro = micro_sequences(count, recipe.shape.seq_len, self.device.type)
        total = torch.zeros(len(self.recipes), device=self.device)
        cast = torch.autocast(self.device.type, dtype=torch.bfloat16)
        for first in range(0, count, micro):
            part = batch[:, first : first + micro]
            with cast if recipe.precision == "bf16" else nullcontext():
                loss = self._loss(self.model, part[..., :-1], part[..., 1:]) * (micro / count)
            torch.autograd.backward(loss.sum())
            total += loss.detach()
        self._update(lrs, total)
        return total

    @torch.no_grad()
    def _update(self, lrs: Tensor, losses: Tensor) -> None:
        """Step every replica whose loss and gradient are sound; the others stay as they are."""
        norms = torch.stack([state.grad_square() for state in self._states]).sum(0).sqrt()
        limit = 2 * math.log(self.recipes[0].shape.vocab_size)
        self._alive &= (losses < limit) & torch.isfinite(norms)
        clip = (self._clip / (norms + 1e-6)).clamp(max=1.0)
        for state in self._states:
            state.update(lrs, clip, self._alive, self.step + 1)


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
