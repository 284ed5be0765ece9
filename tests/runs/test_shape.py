"""Counts are held against transformers and torch's own counter."""

import pytest

from leadsman.errors import InputError
from leadsman.runs import ModelShape

SHAPES = [
    {"layers": 2, "width": 64, "heads": 4, "kv_heads": 4, "ffn_width": 192},
    {"layers": 3, "width": 96, "heads": 6, "kv_heads": 2, "ffn_width": 256},
    {"layers": 1, "width": 32, "heads": 2, "kv_heads": 1, "ffn_width": 80, "tie_embeddings": False},
]


def shape_of(sizes) -> ModelShape:
    return ModelShape(**({"vocab_size": 640, "seq_len": 48} | sizes))


@pytest.fixture(params=SHAPES, ids=["tied", "grouped-query", "untied"])
def pair(request):
    """A shape and the same model in transformers."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    shape = shape_of(request.param)
    config = transformers.LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.width,
        intermediate_size=shape.ffn_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        tie_word_embeddings=shape.tie_embeddings,
        attn_implementation="eager",
    )
    with torch.no_grad():
        return shape, transformers.LlamaForCausalLM(config)


def test_params_equal_those_of_transformers(pair):
    shape, model = pair
    assert shape.params == sum(weight.numel() for weight in model.parameters())


def test_forward_flops_equal_torch_counter_but_for_the_causal_half(pair):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    shape, model = pair
    tokens = torch.zeros(1, shape.seq_len, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens)
    # torch counts the masked half of attention too, and rotary embedding as a product
    masked = shape.layers * 4 * shape.width * (shape.seq_len - 1) / 2 * shape.seq_len
    rotary = 2 * (shape.head_width // 2) * shape.seq_len
    counted = counter.get_total_flops() - masked
    ours = shape.forward_flops_per_token * shape.seq_len
    assert ours <= counted <= ours + rotary


def test_training_costs_three_forward_passes():
    shape = shape_of(SHAPES[0])
    assert shape.train_flops_per_token == 3 * shape.forward_flops_per_token


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "5 heads do not divide width 64"),
        ({"heads": 4, "kv_heads": 3}, "3 key-value heads do not divide 4 heads"),
        ({"heads": 64}, "rotary positions need an even number"),
        ({"layers": 0}, "field 'layers': must be a whole number of at least 1, not 0"),
    ],
)
def test_impossible_shapes_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        shape_of(SHAPES[0] | change)
