"""Bytes that a forward pass keeps for the backward pass, tensor by tensor.

Counted for a Hugging Face Llama decoder from what each operation's gradient needs. Per token of
one block, with width ``d``, key-value width ``k``, feed-forward width ``f`` and ``b`` bytes of a
linear layer's output:

    two norms     input and normalised input (float32 unless all is bf16), output if it is read by a
                  trained matrix
    attention     q, k, v and the output; with ``eager`` the probabilities, heads x seq_len values
    SwiGLU        gate, silu(gate), up, and the product if ``down`` is trained
"""

from __future__ import annotations

from dataclasses import dataclass

from leadsman.train.memory.setting import TrainingSetting


@dataclass(frozen=True)
class Sizes:
    """Bytes of a value: of the residual stream, of a linear output, of a norm's insides."""

    residual: int
    linear: int
    norm_input: int
    norm_inside: int


SIZES = {
    "float32": Sizes(4, 4, 4, 4),
    "bf16-mixed": Sizes(4, 2, 4, 4),
    "bf16": Sizes(2, 2, 4, 2),
    "bf16-master": Sizes(2, 2, 4, 2),
}


def block_bytes(setting: TrainingSetting) -> float:
    """What one block keeps."""
    shape, size = setting.shape, SIZES[setting.precision]
    width, kv_width = shape.width, shape.kv_heads * shape.head_width
    per_token = float(_norm(setting, any(setting.trains(name) for name in "qkv")))
    per_token += _norm(setting, setting.trains("gate") or setting.trains("up"))
    if setting.attention == "sdpa":
        per_token += size.linear * (2 * width + 2 * kv_width) + 4 * shape.heads
    else:
        scores = shape.heads * shape.seq_len
        rounded = setting.precision != "float32"  # kept as float32 and as bf16
        per_token += size.linear * (3 * width + width * setting.trains("o"))
        per_token += scores * (6 if rounded else 4)
    per_token += size.linear * shape.ffn_width * (3 + setting.trains("down"))
    adapters = len(setting.lora_targets) if setting.lora_rank is not None else 0
    per_token += size.linear * adapters * (setting.lora_rank or 0)
    return setting.tokens * per_token


def _norm(setting: TrainingSetting, read: bool) -> int:
    """Bytes a token that one norm keeps; ``read``: a trained matrix reads its output."""
    size, width = SIZES[setting.precision], setting.shape.width
    inside = size.norm_inside if setting.lora_rank is None else 0
    return width * (size.norm_input + inside + size.linear * read) + 4


def kept_bytes(setting: TrainingSetting) -> float:
    """What all blocks keep; with checkpointing, the input of each."""
    if setting.checkpointing:
        input_bytes = SIZES[setting.precision].residual * setting.shape.width
        return setting.shape.layers * setting.tokens * float(input_bytes)
    return setting.shape.layers * block_bytes(setting)


def cast_bytes(setting: TrainingSetting) -> float:
    """bf16 copies of the weights that autocast keeps until the backward pass."""
    if setting.precision != "bf16-mixed":
        return 0.0
    shape = setting.shape
    blocks = 0 if setting.checkpointing else shape.layers * shape.block_matrix_params
    return 2.0 * (blocks + shape.vocab_size * shape.width)


def head_bytes(setting: TrainingSetting) -> float:
    """What the final norm keeps: beside the blocks, until the backward pass begins."""
    return setting.tokens * float(_norm(setting, setting.lora_rank is None))


def logits_bytes(setting: TrainingSetting) -> float:
    """Logits at their peak: log-probabilities and two gradients of float32.

    The logits themselves are gone by then, as in the Hugging Face Trainer, which keeps the loss.
    """
    return 12.0 * setting.tokens * setting.shape.vocab_size


def scratch_bytes(setting: TrainingSetting) -> float:
    """Tensors of the one block that is being computed, beside those kept."""
    shape, size = setting.shape, SIZES[setting.precision]
    feed_forward = 2.0 * size.linear * shape.ffn_width + 2 * size.residual * shape.width
    if setting.attention == "sdpa":
        return setting.tokens * feed_forward
    scores = 2.0 * 4 * shape.heads * shape.seq_len
    return setting.tokens * max(feed_forward, scores)
