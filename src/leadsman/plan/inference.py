"""What serving a model costs: prefill, decode, KV cache, on an idealised machine.

A request has a prompt and an output. Each phase takes the longer of its arithmetic and its traffic
(roofline), on a device alone with its batch (idealised runtime, Narayanan et al. 2023, catalogue
278: no queue, no network, uniform software):

    prefill  flops = batch * prompt * f(prompt)          bytes = weights + KV written
    decode   flops = batch * f(1 token, cache)           bytes = weights + KV read, for each token

with ``f`` the forward FLOPs of a token, attention included.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from leadsman.errors import InputError
from leadsman.plan.hardware import Accelerator
from leadsman.runs import ModelShape
from leadsman.strict_yaml import Strict

FLOPS_SHARE = 0.6
"""Share of peak arithmetic that prefill reaches."""

BANDWIDTH_SHARE = 0.75
"""Share of peak bandwidth that decode reaches."""


class ServingSpec(Strict):
    """How much a model will be used, and how."""

    tokens: float = Field(gt=0, description="all tokens served in its life, prompts included")
    prompt_tokens: int = Field(512, ge=1, description="of a typical request")
    output_tokens: int = Field(128, ge=1, description="of a typical request")
    batch: int = Field(16, ge=1, description="requests decoded together")
    weight_bytes: float = Field(2.0, gt=0, le=4, description="bytes a weight: 2 bf16, 1 int8")
    in_budget: bool = Field(True, description="whether serving is paid from the same budget")


@dataclass(frozen=True)
class ServingCost:
    """One request of a batch, on one device.

    Attributes:
        prefill_flops, decode_flops: of the request.
        kv_cache_bytes: of the request at its end.
        weight_bytes: of the model.
        prefill_seconds, decode_seconds: for the whole batch.
        bound: what decode waits for: ``bandwidth`` or ``compute``.
        flops_per_token: forward FLOPs over all tokens of the request.
        seconds_per_million: device seconds for a million tokens served.
    """

    prefill_flops: float
    decode_flops: float
    kv_cache_bytes: float
    weight_bytes: float
    prefill_seconds: float
    decode_seconds: float
    bound: str
    flops_per_token: float
    seconds_per_million: float


def forward_flops(shape: ModelShape, position: float) -> float:
    """Forward FLOPs of one token that attends to ``position`` tokens, itself included."""
    matrices = shape.layers * (2 * shape.block_matrix_params + 4 * shape.width * position)
    return matrices + 2.0 * shape.width * shape.vocab_size


def kv_cache_bytes(shape: ModelShape, tokens: int, *, value_bytes: float = 2.0) -> float:
    """Keys and values of all layers for one sequence.

    >>> from leadsman.runs import ModelShape
    >>> llama = ModelShape(layers=32, width=4096, heads=32, kv_heads=32, ffn_width=11008,
    ...                    vocab_size=32000, seq_len=4096)
    >>> kv_cache_bytes(llama, 4096) / 2**30
    2.0
    """
    return 2.0 * shape.layers * shape.kv_heads * shape.head_width * tokens * value_bytes


def serving_cost(
    shape: ModelShape, spec: ServingSpec, accelerator: Accelerator, *, precision: str = "bf16"
) -> ServingCost:
    """Arithmetic, traffic and idealised time of a typical request.

    Raises:
        InputError: weights and the batch's caches do not fit into the device's memory.
    """
    prompt, output = spec.prompt_tokens, spec.output_tokens
    weights = spec.weight_bytes * shape.params
    cache = kv_cache_bytes(shape, prompt + output)
    held = weights + spec.batch * cache
    if held > 1e9 * accelerator.memory_gb:
        raise InputError(
            f"serving needs {held / 1e9:.3g} GB (weights {weights / 1e9:.3g}, caches of "
            f"{spec.batch} requests {spec.batch * cache / 1e9:.3g}), the device has "
            f"{accelerator.memory_gb:g}; lower serving.batch or take a smaller model",
            column="serving.batch",
        )
    # The head is needed for the last prompt token only.
    head = 2.0 * shape.width * shape.vocab_size
    prefill = prompt * (forward_flops(shape, (prompt + 1) / 2) - head) + head
    decode = output * forward_flops(shape, prompt + (output + 1) / 2)
    flops_rate = FLOPS_SHARE * accelerator.peak_flops(precision)
    bytes_rate = BANDWIDTH_SHARE * 1e9 * accelerator.bandwidth_gb_s
    written = spec.batch * kv_cache_bytes(shape, prompt)
    prefill_seconds = max(spec.batch * prefill / flops_rate, (weights + written) / bytes_rate)
    read = weights + spec.batch * kv_cache_bytes(shape, prompt + output // 2)
    compute, traffic = spec.batch * decode / flops_rate, output * read / bytes_rate
    seconds = prefill_seconds + max(compute, traffic)
    return ServingCost(
        prefill_flops=prefill,
        decode_flops=decode,
        kv_cache_bytes=cache,
        weight_bytes=weights,
        prefill_seconds=prefill_seconds,
        decode_seconds=max(compute, traffic),
        bound="bandwidth" if traffic > compute else "compute",
        flops_per_token=(prefill + decode) / (prompt + output),
        seconds_per_million=1e6 * seconds / (spec.batch * (prompt + output)),
    )
