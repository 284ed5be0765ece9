from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from leadsman.errors import InputError
from leadsman.runs import ModelShape
from leadsman.train.hf import load_hf, save_hf
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize

SHAPE = ModelShape(
    layers=3, width=48, heads=6, kv_heads=2, ffn_width=80, vocab_size=301, seq_len=32
)


def random_model(shape: ModelShape, replicas: int | None = None, seed: int = 0) -> Decoder:
    model = Decoder(shape, replicas=replicas)
    generator = torch.Generator().manual_seed(seed)
    for param in model.parameters():
        param.data.normal_(0, 0.3, generator=generator)
    return model


def random_tokens(*size: int) -> torch.Tensor:
    return torch.randint(301, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_logits_equal_transformers(tmp_path, tied, kv_heads):
    transformers = pytest.importorskip("transformers")
    shape = replace(SHAPE, tie_embeddings=tied, kv_heads=kv_heads)
    model = random_model(shape)
    save_hf(model, tmp_path)
    peer = transformers.LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="sdpa")
    tokens = random_tokens(3, 32)
    with torch.no_grad():
        ours, theirs = model(tokens), peer(tokens).logits
    assert ours.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_saving_and_loading_is_exact(tmp_path, tied):
    model = random_model(replace(SHAPE, tie_embeddings=tied))
    save_hf(model, tmp_path)
    again = load_hf(tmp_path)
    assert again.shape == model.shape
    for name, param in model.named_parameters():
        assert torch.equal(param, again.get_parameter(name)), name


def test_a_transformers_model_loads(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=301,
        max_position_embeddings=64,
    )
    peer = transformers.LlamaForCausalLM(config)
    peer.save_pretrained(tmp_path)
    tokens = random_tokens(2, 20)
    with torch.no_grad():
        torch.testing.assert_close(
            load_hf(tmp_path)(tokens), peer(tokens).logits, rtol=1e-5, atol=1e-5
        )


def test_stacked_replicas_equal_each_alone():
    stacked = random_model(SHAPE, replicas=3)
    tokens = random_tokens(3, 2, 33)
    loss = stacked.loss(tokens[..., :-1], tokens[..., 1:])
    assert loss.shape == (3,)
    loss.sum().backward()
    for replica in range(3):
        alone = stacked.replica(replica)
        one = alone.loss(tokens[replica, :, :-1], tokens[replica, :, 1:])
        torch.testing.assert_close(one, loss[replica], rtol=1e-5, atol=1e-5)
        one.backward()
        for name, param in alone.named_parameters():
            torch.testing.assert_close(
                param.grad, stacked.get_parameter(name).grad[replica], rtol=1e-4, atol=1e-5
            )


def test_parameter_count_equals_the_shape():
    for tied in (True, False):
        shape = replace(SHAPE, tie_embeddings=tied)
        assert sum(param.numel() for param in Decoder(shape).parameters()) == shape.params


def test_later_tokens_do_not_change_earlier_logits():
    model = random_model(SHAPE)
    tokens = random_tokens(1, 32)
    changed = tokens.clone()
    changed[0, 20] = (changed[0, 20] + 1) % 301
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])


def test_an_untrained_model_knows_nothing_and_seeds_differ():
    losses = []
    for width in (48, 192):
        shape = replace(SHAPE, width=width, tie_embeddings=False)
        model = Decoder(shape, replicas=2)
        initialize(model, seed=[5, 6])
        assert not torch.equal(model.embedding[0], model.embedding[1])
        alone = Decoder(shape)
        initialize(alone, seed=6)
        assert torch.equal(alone.embedding, model.embedding[1])
        tokens = random_tokens(8, 33)
        losses.append(float(alone.loss(tokens[:, :-1], tokens[:, 1:]).detach()))
    assert losses == pytest.approx([math.log(301)] * 2, rel=1e-5)


def test_foreign_or_damaged_models_are_named(tmp_path):
    with pytest.raises(InputError, match="not a model in Hugging Face format"):
        load_hf(tmp_path)
    save_hf(random_model(SHAPE), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for field, value in [("model_type", "gpt2"), ("rms_norm_eps", 1e-5), ("rope_theta", 5e5)]:
        (tmp_path / "config.json").write_text(json.dumps(config | {field: value}))
        with pytest.raises(InputError, match=r"config\.json, field"):
            load_hf(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": 96}))
    with pytest.raises(InputError, match="head_dim"):
        load_hf(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 300}))
    with pytest.raises(InputError, match="weights of 'embedding' are"):
        load_hf(tmp_path)
