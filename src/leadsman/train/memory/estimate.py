"""The peak of one training step, from the setting alone.

A step has four moments at which memory can be highest; the estimate is the largest:

    loss      weights + state + kept activations + logits
    backward  weights + state + kept activations + one block recomputed or in work
    end       weights + state + gradients + the embedding's gradient in work
    step      weights + state + gradients + scratch of the optimizer

Gradients count from the start where they are accumulated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from leadsman.train.memory.activations import (
    block_bytes,
    cast_bytes,
    head_bytes,
    kept_bytes,
    logits_bytes,
    scratch_bytes,
)
from leadsman.train.memory.setting import TrainingSetting
from leadsman.train.memory.states import (
    gradient_bytes,
    optimizer_bytes,
    step_bytes,
    weight_bytes,
)

DEFAULT_MALLOC = (1.15, 1.92)
"""Least and most of the tensors' peak that a process holds on a CPU with glibc's default allocator,
over 28 configurations (benchmarks/plan/results/memory.json)."""

LIBRARY_BYTES = 4.7e8
"""What a process with torch and transformers holds before a model is built (the same file)."""

TRAINER_BYTES = 1.1e9
"""What a process of Leadsman's own trainer holds beside its tensors on a CPU, compiled graphs and
evaluation included (benchmarks/train/results/process_memory.json)."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one device, tensors only: what the libraries themselves hold is not in it.

    Attributes:
        weights: of the model and its adapters, and the copies autocast keeps.
        optimizer: state.
        gradients: of all trained parameters.
        activations: kept for the backward pass.
        logits: at the loss.
        scratch: of the moment that decides.
        moment: when the peak is reached: ``loss``, ``backward``, ``end`` or ``step``.
        total: at that moment.
    """

    weights: float
    optimizer: float
    gradients: float
    activations: float
    logits: float
    scratch: float
    moment: str
    total: float

    def resident(self, *, lean: bool) -> tuple[float, float]:
        """Least and most resident bytes of a process that trains on a CPU, libraries included.

        Args:
            lean: freed memory is given back at once (``leadsman train --lean``,
                ``MALLOC_MMAP_THRESHOLD_=65536``); else glibc's default allocator keeps part of it.
        """
        low, high = (1.0, 1.0) if lean else DEFAULT_MALLOC
        return LIBRARY_BYTES + low * self.total, LIBRARY_BYTES + high * self.total

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def beside_by_moment(setting: TrainingSetting, gradients: float) -> dict[str, float]:
    """Bytes beside weights and optimizer state at each of the four moments."""
    shape = setting.shape
    forward = cast_bytes(setting) + kept_bytes(setting)
    recomputed = block_bytes(setting) if setting.checkpointing else 0.0
    early = gradients if setting.accumulate else 0.0
    embedding = 4.0 * shape.vocab_size * shape.width if setting.lora_rank is None else 0.0
    return {
        "loss": forward + head_bytes(setting) + early + logits_bytes(setting),
        "backward": forward + max(early, embedding) + recomputed + scratch_bytes(setting),
        "end": gradients + embedding,
        "step": gradients + step_bytes(setting),
    }


def estimate_memory(setting: TrainingSetting) -> MemoryEstimate:
    """Peak bytes of a training step.

    >>> from leadsman.runs import ModelShape
    >>> shape = ModelShape(layers=4, width=256, heads=4, kv_heads=4, ffn_width=688,
    ...                    vocab_size=8192, seq_len=512)
    >>> estimate = estimate_memory(TrainingSetting(shape=shape, sequences=2))
    >>> estimate.moment, round(estimate.total / 1e6)
    ('loss', 254)
    """
    weights, state = weight_bytes(setting), optimizer_bytes(setting)
    gradients = gradient_bytes(setting)
    casts, kept, logits = cast_bytes(setting), kept_bytes(setting), logits_bytes(setting)
    early = gradients if setting.accumulate else 0.0
    beside = beside_by_moment(setting, gradients)
    moment = max(beside, key=lambda name: beside[name])
    in_step = moment in ("end", "step")
    total = weights + state + beside[moment]
    known = weights + state + (gradients if in_step else early)
    known += 0.0 if in_step else casts + kept
    known += logits if moment == "loss" else 0.0
    return MemoryEstimate(
        weights=weights + (0.0 if in_step else casts),
        optimizer=state,
        gradients=gradients if in_step else early,
        activations=0.0 if in_step else kept,
        logits=logits if moment == "loss" else 0.0,
        scratch=total - known,
        moment=moment,
        total=total,
    )
