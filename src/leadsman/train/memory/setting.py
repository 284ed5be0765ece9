"""What decides the memory of a training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from leadsman.errors import InputError
from leadsman.runs import ModelShape

Precision = Literal["float32", "bf16-mixed", "bf16", "bf16-master"]
"""``bf16-mixed`` is torch autocast over float32 weights; ``bf16-master`` keeps bf16 weights and
gradients and a float32 copy with the optimizer (DeepSpeed, Megatron); ``bf16`` has no such copy."""

OptimizerName = Literal["sgd", "sgd-momentum", "adamw", "adamw-8bit", "lion", "muon", "galore"]
Attention = Literal["sdpa", "eager"]
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


@dataclass(frozen=True, kw_only=True)
class TrainingSetting:
    """One training step of a Llama-style decoder on one device.

    Attributes:
        shape: the model; ``shape.seq_len`` is the length of a sequence.
        sequences: sequences in one forward and backward pass on one device.
        precision: of weights and activations, see :data:`Precision`.
        optimizer: whose state is kept.
        optimizer_rank: directions kept of each block matrix (``galore`` only).
        lora_rank: rank of an adapter on frozen weights; ``None`` trains everything.
        lora_targets: block matrices with an adapter.
        checkpointing: recompute each block in the backward pass instead of keeping it.
        attention: ``sdpa`` keeps no score matrix, ``eager`` keeps it.
        accumulate: gradients stay while the next pass runs (gradient accumulation).
        zero_stage: what data-parallel devices share (ZeRO): 1 optimizer state, 2 gradients too,
            3 weights too.
        devices: data-parallel devices.

    Raises:
        InputError: a value out of bounds, named.
    """

    shape: ModelShape
    sequences: int = 1
    precision: Precision = "float32"
    optimizer: OptimizerName = "adamw"
    optimizer_rank: int | None = None
    lora_rank: int | None = None
    lora_targets: tuple[str, ...] = ("q", "v")
    checkpointing: bool = False
    attention: Attention = "sdpa"
    accumulate: bool = False
    zero_stage: int = 0
    devices: int = 1

    def __post_init__(self) -> None:
        _one_of(self.precision, get_args(Precision), "precision")
        _one_of(self.optimizer, get_args(OptimizerName), "optimizer")
        _one_of(self.attention, get_args(Attention), "attention")
        for target in self.lora_targets:
            _one_of(target, MATRICES, "lora_targets")
        for name in ("sequences", "devices", "lora_rank", "optimizer_rank"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"must be at least 1, not {value}", column=name)
        if self.zero_stage not in (0, 1, 2, 3):
            raise InputError(f"must be 0, 1, 2 or 3, not {self.zero_stage}", column="zero_stage")
        if self.zero_stage and self.devices == 1:
            raise InputError("shares between devices; give devices", column="zero_stage")
        if self.optimizer == "galore" and self.optimizer_rank is None:
            raise InputError("galore needs a rank", column="optimizer_rank")

    @property
    def tokens(self) -> int:
        """Tokens in one pass."""
        return self.sequences * self.shape.seq_len

    def trains(self, matrix: str) -> bool:
        """Whether a block matrix keeps its input for a weight gradient."""
        return self.lora_rank is None or matrix in self.lora_targets


def _one_of(value: str, known: tuple[str, ...], field: str) -> None:
    if value not in known:
        raise InputError(f"{value!r} is not known; use {', '.join(known)}", column=field)


def block_matrices(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """(rows, columns) of the matrices of one block, by name."""
    kv_width = shape.kv_heads * shape.head_width
    return {
        "q": (shape.width, shape.width),
        "k": (kv_width, shape.width),
        "v": (kv_width, shape.width),
        "o": (shape.width, shape.width),
        "gate": (shape.ffn_width, shape.width),
        "up": (shape.ffn_width, shape.width),
        "down": (shape.width, shape.ffn_width),
    }
