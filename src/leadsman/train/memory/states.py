"""Bytes of weights, gradients and optimizer state.

ZeRO (Rajbhandari et al. 2020, catalogue 176) divides, over ``n`` data-parallel devices: stage 1
the optimizer state, stage 2 the gradients too, stage 3 the weights too.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadsman.train.memory.setting import TrainingSetting, block_matrices

MOMENTS = {"sgd": 0, "sgd-momentum": 1, "adamw": 2, "adamw-8bit": 2, "lion": 1}
"""State tensors of a parameter's size."""

BYTES_8BIT = 1 + 4 / 256
"""One byte a value and a float32 scale for each block of 256 (Dettmers et al. 2022)."""


@dataclass(frozen=True)
class Tensors:
    """Trainable matrices as (rows, columns), and trainable values in no block matrix."""

    matrices: tuple[tuple[int, int], ...]
    rest: int

    @property
    def values(self) -> int:
        """All trainable values."""
        return self.rest + sum(rows * columns for rows, columns in self.matrices)


def trainable(setting: TrainingSetting) -> Tensors:
    """What gets gradients: everything, or the two factors of each adapter."""
    shape = setting.shape
    block = block_matrices(shape)
    if setting.lora_rank is None:
        matrices = tuple(block.values()) * shape.layers
        return Tensors(matrices, shape.params - sum(m * n for m, n in matrices))
    factors = [
        pair
        for target in setting.lora_targets
        for pair in (
            (setting.lora_rank, block[target][1]),
            (block[target][0], setting.lora_rank),
        )
    ]
    return Tensors(tuple(factors) * shape.layers, 0)


def weight_bytes(setting: TrainingSetting) -> float:
    """Weights on one device; adapters are float32 unless all is bf16."""
    size = 4 if setting.precision in ("float32", "bf16-mixed") else 2
    values = setting.shape.params
    if setting.lora_rank is not None:
        values += trainable(setting).values
    return size * values / (setting.devices if setting.zero_stage == 3 else 1)


def gradient_bytes(setting: TrainingSetting) -> float:
    """Gradients on one device when the backward pass ends."""
    size = 4 if setting.precision in ("float32", "bf16-mixed") else 2
    shared = setting.devices if setting.zero_stage >= 2 else 1
    return size * trainable(setting).values / shared


def optimizer_bytes(setting: TrainingSetting) -> float:
    """Optimizer state on one device, the float32 master copy of ``bf16-master`` included."""
    tensors = trainable(setting)
    size = 2.0 if setting.precision == "bf16" else 4.0
    master = 4 * tensors.values if setting.precision == "bf16-master" else 0
    shared = setting.devices if setting.zero_stage >= 1 else 1
    return (master + _moments(setting, tensors, size)) / shared


def _moments(setting: TrainingSetting, tensors: Tensors, size: float) -> float:
    in_matrices = tensors.values - tensors.rest
    if setting.optimizer == "adamw-8bit":
        return 2 * BYTES_8BIT * tensors.values
    if setting.optimizer == "muon":  # one momentum for matrices, Adam for the rest
        return size * (in_matrices + 2 * tensors.rest)
    if setting.optimizer == "galore":  # basis on the shorter side, two moments on the longer
        rank = setting.optimizer_rank or 1
        kept = sum(min(rank, m, n) * (min(m, n) + 2 * max(m, n)) for m, n in tensors.matrices)
        return size * (kept + 2 * tensors.rest)
    return size * MOMENTS[setting.optimizer] * tensors.values


def step_bytes(setting: TrainingSetting) -> float:
    """Scratch of the optimizer's step, one tensor at a time (torch's loop on CPU).

    AdamW makes two tensors of the size of the largest parameter, Lion two, SGD none; Muon
    orthogonalises in bf16 beside a float32 update; GaLore's singular value decomposition holds the
    factors and a workspace.
    """
    tensors = trainable(setting)
    shape = setting.shape
    largest_matrix = max((m * n for m, n in tensors.matrices), default=0)
    largest = max(largest_matrix, shape.vocab_size * shape.width if tensors.rest else 0)
    size = 2.0 if setting.precision == "bf16" else 4.0
    if setting.optimizer == "galore":
        short = max((min(m, n) for m, n in tensors.matrices), default=0)
        return max(4.0 * (4 * largest_matrix + 4 * short**2), 2 * size * largest)
    if setting.optimizer == "muon":
        return max(10.0 * largest_matrix, 2 * size * largest)
    return {"sgd": 0.0, "sgd-momentum": 0.0}.get(setting.optimizer, 2 * size * largest)
