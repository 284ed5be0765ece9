"""Serving cost against the roofline worked out by hand."""

import pytest

from leadsman.errors import InputError
from leadsman.plan.hardware import find_accelerator
from leadsman.plan.inference import (
    BANDWIDTH_SHARE,
    FLOPS_SHARE,
    ServingSpec,
    forward_flops,
    kv_cache_bytes,
    serving_cost,
)
from leadsman.runs import ModelShape

LLAMA = ModelShape(
    layers=32, width=4096, heads=32, kv_heads=32, ffn_width=11008,
    vocab_size=32000, seq_len=4096, tie_embeddings=False,
)  # fmt: skip
H100 = find_accelerator("H100-SXM")


def spec(**changes):
    return ServingSpec(**({"tokens": 1e12} | changes))


def test_forward_flops_average_to_the_shape_s_own_count():
    positions = range(1, LLAMA.seq_len + 1)
    mean = sum(forward_flops(LLAMA, p) for p in positions) / LLAMA.seq_len
    assert mean == pytest.approx(LLAMA.forward_flops_per_token)


def test_single_request_decode_reads_all_weights_each_token():
    cost = serving_cost(LLAMA, spec(batch=1, prompt_tokens=10, output_tokens=100), H100)
    weights = 2 * LLAMA.params
    assert weights == pytest.approx(13.48e9, rel=0.01)  # the published 6.74B in bf16
    assert cost.bound == "bandwidth"
    least = 100 * weights / (BANDWIDTH_SHARE * 3350e9)
    assert cost.decode_seconds == pytest.approx(least, rel=0.01)


def test_long_prompts_are_bound_by_arithmetic():
    cost = serving_cost(LLAMA, spec(batch=4, prompt_tokens=2048, output_tokens=1), H100)
    flops = 4 * cost.prefill_flops / (FLOPS_SHARE * 989e12)
    assert cost.prefill_seconds == pytest.approx(flops)
    assert cost.prefill_flops == pytest.approx(2 * LLAMA.params * 2048, rel=0.1)


def test_a_larger_batch_is_cheaper_a_token_until_arithmetic_binds():
    prices = [serving_cost(LLAMA, spec(batch=b), H100).seconds_per_million for b in (1, 4, 16, 64)]
    assert prices == sorted(prices, reverse=True)


def test_grouped_heads_and_int8_shrink_what_is_read():
    grouped = ModelShape(
        layers=32, width=4096, heads=32, kv_heads=8, ffn_width=11008,
        vocab_size=32000, seq_len=4096, tie_embeddings=False,
    )  # fmt: skip
    assert kv_cache_bytes(grouped, 100) == kv_cache_bytes(LLAMA, 100) / 4
    int8 = serving_cost(LLAMA, spec(weight_bytes=1.0), H100)
    assert int8.decode_seconds < serving_cost(LLAMA, spec(), H100).decode_seconds


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"serving needs .* GB .* the device has 24"):
        serving_cost(LLAMA, spec(batch=64), find_accelerator("RTX-4090"))
