"""Block matrices kept as factors: what SLTrain, low-rank and Monarch training share.

A structured matrix is a module that stands where the model has a weight: ``module(x)`` is
``x @ W.T`` and ``module.dense()`` is ``W`` ``[rows, columns]``. Query, key, value, gate and up are
factorised one by one.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from leadsman.errors import MethodError
from leadsman.runs import ModelShape
from leadsman.train.matrices import BLOCK_MATRICES, block_matrices, row_parts
from leadsman.train.model import Decoder

if TYPE_CHECKING:
    from leadsman.runs import Recipe


class StructuredMatrix(nn.Module):
    """A weight ``[rows, columns]`` given by fewer numbers."""

    @abstractmethod
    def dense(self) -> Tensor:
        """The weight itself, ``[rows, columns]``."""


class RowStack(StructuredMatrix):
    """Structured matrices one above the other."""

    def __init__(self, parts: list[StructuredMatrix]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., columns]`` to ``[..., rows of all parts]``."""
        return torch.cat([part(x) for part in self.parts], dim=-1)

    def dense(self) -> Tensor:
        """All rows."""
        return torch.cat([part.dense() for part in structured(self)])


def structure(
    model: Decoder, build: Callable[[Tensor, torch.Generator], StructuredMatrix], *, seed: int
) -> Decoder:
    """A copy of a model whose block matrices are built by ``build`` from the dense ones.

    Args:
        model: a decoder without replicas; it is left as it is.
        build: makes a structured matrix of a dense one ``[rows, columns]``.
        seed: of the generator handed to ``build``.

    Raises:
        MethodError: the model has replicas.
    """
    if model.replicas is not None:
        raise MethodError("matrices can only be factorised in a model without replicas")
    replaced = [block.get_parameter(kind) for block in model.stack for kind in BLOCK_MATRICES]
    made = copy.deepcopy(model, {id(weight): weight for weight in replaced})
    generator = torch.Generator().manual_seed(seed)
    for block in made.stack:
        for kind in BLOCK_MATRICES:
            weight = block.get_parameter(kind).detach()
            parts = [
                build(part, generator).to(weight.device)
                for part in torch.split(weight, row_parts(model.shape, kind))
            ]
            delattr(block, kind)
            setattr(block, kind, parts[0] if len(parts) == 1 else RowStack(parts))
    return made


def structured(module: nn.Module) -> Iterator[StructuredMatrix]:
    """The structured matrices below a module, in order, stacks taken apart."""
    for inner in module.modules():
        if isinstance(inner, StructuredMatrix) and not isinstance(inner, RowStack):
            yield inner


@torch.no_grad()
def densify(model: Decoder) -> Decoder:
    """A plain decoder with the same weights; the given one is left as it is."""
    plain = Decoder(model.shape).to(model.final_norm.device)
    for name, param in plain.named_parameters():
        owner, _, kind = name.rpartition(".")
        value = getattr(model.get_submodule(owner), kind)
        param.copy_(value.dense() if isinstance(value, StructuredMatrix) else value)
    return plain


def factor_flops(recipe: Recipe, multiply_adds: float) -> float:
    """Training compute when one token's pass through all block matrices costs ``multiply_adds``."""
    dense = sum(rows * columns for rows, columns in block_matrices(recipe.shape))
    return recipe.flops + 6.0 * recipe.trained_tokens * (multiply_adds - dense)


def other_params(shape: ModelShape) -> int:
    """Parameters outside the block matrices: embeddings and gains."""
    return shape.params - sum(rows * columns for rows, columns in block_matrices(shape))


def fan_in_normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """A random matrix that keeps the size of what it is applied to."""
    return torch.empty(rows, columns).normal_(0.0, columns**-0.5, generator=generator)
