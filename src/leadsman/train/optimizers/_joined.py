"""Two optimizers behind one face: block matrices to one, everything else to the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from leadsman.errors import MethodError
from leadsman.runs import Recipe
from leadsman.train.matrices import BLOCK_MATRICES
from leadsman.train.model import Decoder
from leadsman.train.optimizers.adamw import AdamW
from leadsman.train.parametrization import param_groups

ADAMW = AdamW()


class JoinedOptimizer(torch.optim.Optimizer):
    """Steps several optimizers as one; ``param_groups`` are theirs, one after another."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})
        # The base class copies groups; setting lr must reach the parts' own.
        self.param_groups = [group for part in parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step each part."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The parts' states."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def split_groups(
    model: Decoder, recipe: Recipe, *, factors: bool = True
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Parameter groups of the block matrices, and of embeddings and gains.

    Args:
        model: may keep its block matrices in factors.
        recipe: gives decay and scales.
        factors: whether a factor that is itself a matrix will do in place of a block matrix.

    Raises:
        MethodError: there is no such matrix, because a method keeps them in factors.
    """
    named = {n: p for n, p in model.blocks.named_parameters() if p.dim() == 2}
    whole = {name.rpartition(".")[2] for name in named} <= {*BLOCK_MATRICES}
    if not named or not (whole or factors):
        others = ", ".join(sorted(set(recipe.methods) - {recipe.optimizer}))
        raise MethodError(
            f"{recipe.optimizer} steps whole block matrices and {others} keeps them in factors; "
            f"use adamw"
        )
    inside = {id(param) for param in named.values()}
    blocks: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for group in param_groups(model, recipe):
        for groups, wanted in ((blocks, True), (rest, False)):
            params: list[Tensor] = [p for p in group["params"] if (id(p) in inside) is wanted]
            if params:
                groups.append(group | {"params": params})
    return blocks, rest


def adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Fused AdamW with this library's defaults, for what a method leaves to it."""
    return torch.optim.AdamW(groups, betas=(ADAMW.beta1, ADAMW.beta2), eps=ADAMW.eps, fused=True)
