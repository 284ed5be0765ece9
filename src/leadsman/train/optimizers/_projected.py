"""Adam whose moments live in a low-rank subspace of each matrix's gradient.

A basis of ``rank`` directions on the shorter side is chosen now and then; the gradient's
coordinates in it are stepped by Adam, and the step is carried back.

    R = P^T G        p <- (1 - lr d) p - lr scale P adam(R)        (transposed for tall matrices)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from leadsman.train.matrices import row_parts
from leadsman.train.model import Decoder
from leadsman.train.optimizers.adamw import AdamW

ADAMW = AdamW()


class ProjectedAdam(torch.optim.Optimizer):
    """Adam in a subspace of each matrix; a subclass says which.

    Query, key and value are matrices of their own, and so are gate and up.

    Args:
        model: the decoder the parameters are of.
        groups: groups of block matrices.
        rank: directions kept.
        refresh: steps between choices of the subspace.
        scale: of the step.
    """

    def __init__(
        self,
        model: Decoder,
        groups: list[dict[str, Any]],
        *,
        rank: int,
        refresh: int,
        scale: float,
    ) -> None:
        super().__init__(groups, {"rank": rank, "refresh": refresh, "scale": scale})
        self._rows = {
            param: row_parts(model.shape, name.rpartition(".")[2])
            for name, param in model.blocks.named_parameters()
            if param.dim() == 2
        }

    def choose(self, grad: Tensor, state: dict[str, Any], rank: int) -> None:
        """Choose a basis for ``grad`` ``[short, long]`` and keep it in ``state``."""
        raise NotImplementedError

    def project(self, grad: Tensor, state: dict[str, Any]) -> Tensor:
        """Coordinates ``[rank, long]`` of ``grad`` ``[short, long]``."""
        raise NotImplementedError

    def carry_back(self, step: Tensor, state: dict[str, Any]) -> Tensor:
        """The inverse of :meth:`project` on the subspace."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step all parameters that have a gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                rows = self._rows[param]
                parts = self.state[param].setdefault("parts", [{} for _ in rows])
                for part, grad, state in zip(
                    param.split(rows), param.grad.split(rows), parts, strict=True
                ):
                    self._step_one(part, grad, state, group)

    def _step_one(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
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

    def __init__(self, model: Decoder, groups: list[dict[str, Any]], **options: Any) -> None:
        super().__init__(model, groups, **options)
        sides = {min(rows, p.shape[1]) for p, parts in self._rows.items() for rows in parts}
        self.bases = {side: dct_basis(side).to(model.embedding.device) for side in sorted(sides)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """The inverse of ``state_dict``; torch turns indices into floats, this turns them back."""
        super().load_state_dict(dict(state_dict))
        for state in self.state.values():
            for part in state["parts"]:
                part["chosen"] = part["chosen"].to(torch.int32)

    def choose(self, grad: Tensor, state: dict[str, Any], rank: int) -> None:
        """The rows of ``D^T G`` of largest norm."""
        alignment = torch.matmul(self.bases[len(grad)].T, grad).norm(dim=1)
        chosen = torch.sort(torch.topk(alignment, rank).indices).values.to(torch.int32)
        if "chosen" in state:
            same = chosen[:, None] == state["chosen"][None, :]
            for moment in ("mean", "square"):
                state[moment] = torch.matmul(same.to(grad.dtype), state[moment])
        state["chosen"], state["side"] = chosen, len(grad)

    def project(self, grad: Tensor, state: dict[str, Any]) -> Tensor:
        """The chosen rows of ``D^T G``."""
        return torch.matmul(self.bases[len(grad)][:, state["chosen"]].T, grad)

    def carry_back(self, step: Tensor, state: dict[str, Any]) -> Tensor:
        """``D`` restricted to the chosen columns, times the step."""
        basis = self.bases[state["side"]]
        return torch.matmul(basis[:, state["chosen"]], step)


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
