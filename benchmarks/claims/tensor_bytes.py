"""Bytes that training holds, counted from the tensors themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of an optimizer's state tensors, step counters left out.

    Bases that an optimizer shares between matrices (its attribute ``bases``) are counted once.
    """
    parts = getattr(optimizer, "parts", None)
    if parts is not None:
        return sum(state_bytes(part) for part in parts)
    shared = getattr(optimizer, "bases", {})
    return _bytes(optimizer.state.values()) + _bytes(shared.values())


def weight_bytes(model: nn.Module) -> int:
    """Bytes of a model's trained weights and of the index sets they are kept by."""
    indices = (b for b in model.buffers() if not b.is_floating_point())
    return _bytes(model.parameters()) + _bytes(indices)


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(_bytes(inner) for key, inner in value.items() if key != "step")
    if isinstance(value, Iterable) and not isinstance(value, str):
        return sum(_bytes(inner) for inner in value)
    return 0
