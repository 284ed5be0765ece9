"""Initial values and learning rates by width, so that one ``lr`` holds over the ladder.

Maximal update parametrization for Adam (Yang et al. 2022), relative to width 64: with
``m = 64 / width``,

    parameter                  initial standard deviation    learning rate
    embedding                  0.1                           12 lr
    qkv, gate_up               fan_in ** -0.5                lr * m
    attention_out, down        0                             lr * m
    untied output matrix       0                             lr * m
    norm gains                 1                             lr
    final gain, tied           m                             lr * m

The embedding's deviation and rate relative to the blocks come from trials at widths 48 and 128
(docs/log.md): 0.02 at rate ``lr`` costs 0.4 nats at 280k tokens. With tied embeddings the output
multiplier ``m`` of muP stands in the final norm's gain, which for Adam is the same thing and
leaves a plain Llama. Weight decay is decoupled and acts on block matrices only; it is divided by
``m`` so that the shrinkage a step is the same at every width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from leadsman.runs import ModelShape, Recipe
from leadsman.train.model import Decoder

REFERENCE_WIDTH = 64
EMBEDDING_STD = 0.1
EMBEDDING_LR_SCALE = 12.0


def width_multiplier(shape: ModelShape) -> float:
    """``m`` of the table: reference width over width."""
    return REFERENCE_WIDTH / shape.width


def initialize(model: Decoder, *, seed: int | Sequence[int]) -> None:
    """Set initial values in place; with replicas, number ``k`` depends on ``seed[k]`` alone."""
    for name, param in model.named_parameters():
        if isinstance(seed, int):
            _fill(name, param.data, model.shape, seed)
        else:
            for values, replica_seed in zip(param.data, seed, strict=True):
                _fill(name, values, model.shape, replica_seed)


def _fill(name: str, param: Tensor, shape: ModelShape, seed: int) -> None:
    kind = name.rpartition(".")[2]
    if kind == "final_norm" and shape.tie_embeddings:
        param.fill_(width_multiplier(shape))
    elif kind.endswith("_norm"):
        param.fill_(1.0)
    elif kind in ("attention_out", "down", "head"):
        param.zero_()
    else:
        # One generator a matrix: a seed's first layers do not depend on how many follow.
        generator = torch.Generator().manual_seed(_matrix_seed(seed, name))
        std = EMBEDDING_STD if kind == "embedding" else shape.width**-0.5
        param.copy_(torch.empty(param.shape).normal_(0.0, std, generator=generator))


def _matrix_seed(seed: int, name: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "little")


def param_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, each with ``lr_scale`` (its lr over the schedule's)."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, param in model.named_parameters():
        groups.setdefault(scale_and_decay(name, recipe), []).append(param)
    return [
        {"params": params, "lr": recipe.lr * scale, "lr_scale": scale, "weight_decay": decay}
        for (scale, decay), params in groups.items()
    ]


def scale_and_decay(name: str, recipe: Recipe) -> tuple[float, float]:
    """A parameter's learning rate over the schedule's, and its weight decay."""
    m = width_multiplier(recipe.shape)
    kind = name.rpartition(".")[2]
    if kind == "final_norm" and recipe.shape.tie_embeddings:
        return m, 0.0
    if kind.endswith("_norm"):
        return 1.0, 0.0
    if kind == "embedding":
        return EMBEDDING_LR_SCALE, 0.0
    if kind == "head":
        return m, 0.0
    return m, recipe.weight_decay / m
