"""Adam whose moments live in a low-rank subspace of each matrix's gradient.

A basis of ``rank`` directions on the shorter side is chosen now and then; the gradient's
coordinates in it are stepped by Adam, and the step is carried back.

    R = P^T G        p <- (1 - lr d) p - lr scale P adam(R)        (transposed for tall matrices)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from leadsman.errors import MethodError
from leadsman.runs import Recipe
from leadsman.train.model import Decoder
from leadsman.train.optimizers._joined import JoinedOptimizer, split_groups
from leadsman.train.optimizers.adamw import AdamW

ADAMW = AdamW()


class ProjectedAdam(torch.optim.Optimizer):
    """Adam in a subspace; a subclass says which.

    Args:
        groups: groups of matrices.
        rank: directions kept.
        refresh: steps between choices of the subspace.
        scale: of the step.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, rank: int, refresh: int, scale: float
    ) -> None:
        super().__init__(groups, {"rank": rank, "refresh": refresh, "scale": scale})

    def choose(self, grad: Tensor, state: dict[str, Any], rank: int) -> None:
        """Choose a basis for ``grad`` ``[short, long]`` and keep it in ``state``."""
        raise AssertionError("a subclass chooses the basis")

    def project(self, grad: Tensor, state: dict[str, Any]) -> Tensor:
        """Coordinates ``[rank, long]`` of ``grad`` ``[short, long]``."""
        raise AssertionError("a subclass projects")

    def carry_back(self, step: Tensor, state: dict[str, Any]) -> Tensor:
        """The inverse of :meth:`project` on the subspace."""
        raise AssertionError("a subclass carries back")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step all parameters that have a gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step_one(param, param.grad, group)

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        tall = grad.shape[0] > grad.shape[1]
        grad = grad.T if tall else grad
        count = int(state.get("step", 0))
        if count % group["refresh"] == 0:
            self.choose(grad, state, group["rank"])
        coordinates = self.project(grad, state)
        if count == 0:
            state["mean"] = torch.zeros_like(coordinates)
            state["square"] = torch.zeros_like(coordinates)
        state["step"] = count + 1
        state["mean"].lerp_(coordinates, 1 - ADAMW.beta1)
        state["square"].mul_(ADAMW.beta2).add_(coordinates.square(), alpha=1 - ADAMW.beta2)
        scaled = (state["square"] / (1 - ADAMW.beta2 ** (count + 1))).sqrt() + ADAMW.eps
        moved = self.carry_back(state["mean"] / (1 - ADAMW.beta1 ** (count + 1)) / scaled, state)
        param.mul_(1 - group["lr"] * group["weight_decay"])
        param.sub_(moved.T if tall else moved, alpha=group["lr"] * group["scale"])


class GaLoreAdam(ProjectedAdam):
    """The basis is the gradient's leading left singular vectors; moments are kept as they are."""

    def choose(self, grad: Tensor, state: dict[str, Any], rank: int) -> None:
        """Singular vectors of the present gradient."""
        left, _, _ = torch.linalg.svd(grad, full_matrices=False)
        state["basis"] = left[:, :rank].contiguous()

    def project(self, grad: Tensor, state: dict[str, Any]) -> Tensor:
        """``P^T G``."""
        return torch.matmul(state["basis"].T, grad)

    def carry_back(self, step: Tensor, state: dict[str, Any]) -> Tensor:
        """``P N``."""
        return torch.matmul(state["basis"], step)


class DCTAdam(ProjectedAdam):
    """The basis is the ``rank`` columns of a fixed cosine basis the gradient is most aligned with.

    A direction that stays chosen keeps its moments; a new one begins at zero. Bases are computed
    once for each side length and shared by all matrices.
    """

    _bases: dict[int, Tensor]

    def choose(self, grad: Tensor, state: dict[str, Any], rank: int) -> None:
        """The rows of ``D^T G`` of largest norm."""
        alignment = torch.matmul(self._basis(grad).T, grad).norm(dim=1)
        chosen = torch.sort(torch.topk(alignment, rank).indices).values.to(torch.int32)
        if "chosen" in state:
            same = chosen[:, None] == state["chosen"][None, :]
            for moment in ("mean", "square"):
                state[moment] = torch.matmul(same.to(grad.dtype), state[moment])
        state["chosen"] = chosen

    def project(self, grad: Tensor, state: dict[str, Any]) -> Tensor:
        """The chosen rows of ``D^T G``."""
        return torch.matmul(self._basis(grad)[:, state["chosen"]].T, grad)

    def carry_back(self, step: Tensor, state: dict[str, Any]) -> Tensor:
        """``D`` restricted to the chosen columns, times the step."""
        return torch.matmul(self._basis(step)[:, state["chosen"]], step)

    def _basis(self, like: Tensor) -> Tensor:
        return self._bases[self._short].to(like)

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        self._short = min(param.shape)
        if not hasattr(self, "_bases"):
            self._bases = {}
        if self._short not in self._bases:
            self._bases[self._short] = dct_basis(self._short).to(param.device)
        super()._step_one(param, grad, group)


def dct_basis(size: int) -> Tensor:
    """Orthonormal DCT-II basis, one cosine a column, ``[size, size]``.

    >>> basis = dct_basis(5)
    >>> bool(torch.allclose(basis.T @ basis, torch.eye(5), atol=1e-6))
    True
    """
    place = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi / size * (place[:, None] + 0.5) * place[None, :])
    basis[:, 0] /= math.sqrt(2)
    return (basis * math.sqrt(2 / size)).float()


def projected(
    kind: type[ProjectedAdam],
    model: Decoder,
    recipe: Recipe,
    *,
    rank: int,
    refresh: int,
    scale: float,
) -> JoinedOptimizer:
    """A projected Adam for block matrices, fused AdamW for the rest.

    Raises:
        MethodError: the rank is larger than a matrix's shorter side.
    """
    blocks, rest = split_groups(model, recipe)
    shortest = min(min(param.shape) for group in blocks for param in group["params"])
    if rank > shortest:
        raise MethodError(f"rank {rank} is above the shortest side of a block matrix, {shortest}")
    adamw = torch.optim.AdamW(rest, betas=(ADAMW.beta1, ADAMW.beta2), eps=ADAMW.eps, fused=True)
    return JoinedOptimizer([kind(blocks, rank=rank, refresh=refresh, scale=scale), adamw])
