"""To and from the Hugging Face Llama format, with identical logits.

Our fused matrices are split (``qkv`` to q, k, v; ``gate_up`` to gate, up); nothing is rescaled.
A saved folder is ``config.json`` and ``model.safetensors``; put the ``tokenizer.json`` beside them.
Weights in several files with an index are read, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leadsman.errors import InputError
from leadsman.runs import ModelShape
from leadsman.runs.shape import NORM_EPS, ROPE_THETA
from leadsman.train.model import Decoder
from leadsman.train.weight_files import weight_files


def hf_config(shape: ModelShape) -> dict[str, Any]:
    """Fields of a ``LlamaConfig`` for a shape, weights in float32."""
    return shape.hf_config() | {"torch_dtype": "float32"}


def shape_from_config(config: Mapping[str, Any], *, file: str | Path | None = None) -> ModelShape:
    """The shape a ``config.json`` describes.

    Raises:
        InputError: not a Llama, or a Llama with parts this decoder does not have.
    """
    expected = {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": NORM_EPS}
    expected |= {"attention_bias": False, "mlp_bias": False}
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise InputError(
                f"is {config[name]!r}; this decoder has {value!r}", file=file, column=name
            )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = config.get("rope_theta") or rope.get("rope_theta", ROPE_THETA)
    if theta != ROPE_THETA or rope.get("rope_type", "default") != "default":
        raise InputError(
            f"rotary positions other than theta {ROPE_THETA:g} without scaling are not supported",
            file=file,
            column="rope_parameters",
        )
    try:
        heads = config["num_attention_heads"]
        shape = ModelShape(
            layers=config["num_hidden_layers"],
            width=config["hidden_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            ffn_width=config["intermediate_size"],
            vocab_size=config["vocab_size"],
            seq_len=config["max_position_embeddings"],
            tie_embeddings=config.get("tie_word_embeddings", False),
        )
    except KeyError as error:
        raise InputError(f"{error} is missing from the configuration", file=file) from error
    if (config.get("head_dim") or shape.head_width) != shape.head_width:
        raise InputError("head_dim must be hidden_size / heads", file=file, column="head_dim")
    return shape


def to_hf_state(model: Decoder) -> dict[str, Tensor]:
    """Weights of a model without replicas under Hugging Face's names (copies, on the CPU)."""
    shape = model.shape
    state: dict[str, Tensor] = {
        "model.embed_tokens.weight": model.embedding,
        "model.norm.weight": model.final_norm,
    }
    if model.head is not None:
        state["lm_head.weight"] = model.head
    for number, block in enumerate(model.stack):
        layer = f"model.layers.{number}"
        q = block.qkv[: shape.width]
        k, v = block.qkv[shape.width :].chunk(2)
        gate, up = block.gate_up.chunk(2)
        state |= {
            f"{layer}.input_layernorm.weight": block.attention_norm,
            f"{layer}.self_attn.q_proj.weight": q,
            f"{layer}.self_attn.k_proj.weight": k,
            f"{layer}.self_attn.v_proj.weight": v,
            f"{layer}.self_attn.o_proj.weight": block.attention_out,
            f"{layer}.post_attention_layernorm.weight": block.ffn_norm,
            f"{layer}.mlp.gate_proj.weight": gate,
            f"{layer}.mlp.up_proj.weight": up,
            f"{layer}.mlp.down_proj.weight": block.down,
        }
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def from_hf_state(
    shape: ModelShape, state: Mapping[str, Tensor], *, file: str | Path | None = None
) -> Decoder:
    """A decoder with Hugging Face weights, those of ``file``.

    Raises:
        InputError: a weight is missing or of another size.
    """
    model = Decoder(shape)
    for name, param in model.named_parameters():
        parts = []
        for source in _hf_names(name):
            if source not in state:
                raise InputError(f"weight {source!r} is missing", file=file)
            parts.append(state[source].float())
        value = torch.cat(parts)
        if value.shape != param.shape:
            raise InputError(
                f"weights of {name!r} are {list(value.shape)}; the configuration asks for "
                f"{list(param.shape)}",
                file=file,
            )
        param.data.copy_(value)
    return model


def save_hf(model: Decoder, path: str | Path) -> None:
    """Write ``config.json`` and ``model.safetensors``, the configuration last."""
    from safetensors.torch import save

    from leadsman.files import Directory

    directory = Directory(str(path))
    state = to_hf_state(model)
    directory.write("model.safetensors", save(state, metadata={"format": "pt"}))
    directory.write_json("config.json", hf_config(model.shape))


def load_hf(path: str | Path, *, most_seq_len: int | None = None) -> Decoder:
    """Read a folder with ``config.json`` and ``model.safetensors``, whole or in several files.

    Args:
        path: the folder.
        most_seq_len: sequences the model will be given at most; its shape is cut to them.

    Raises:
        InputError: a file is missing or damaged, or the model is not a plain Llama.
    """
    import json

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = Path(path, "config.json")
    try:
        shape = shape_from_config(json.loads(config.read_text()), file=config)
        state: dict[str, Tensor] = {}
        for file in weight_files(path):
            state |= load_file(file)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"not a model in Hugging Face format: {error}", file=path) from error
    shape = replace(shape, seq_len=min(shape.seq_len, most_seq_len or shape.seq_len))
    return from_hf_state(shape, state, file=path)


def _hf_names(name: str) -> list[str]:
    whole = {
        "embedding": "model.embed_tokens.weight",
        "final_norm": "model.norm.weight",
        "head": "lm_head.weight",
    }
    if name in whole:
        return [whole[name]]
    _, number, kind = name.split(".")
    parts = {
        "attention_norm": ["input_layernorm"],
        "qkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        "attention_out": ["self_attn.o_proj"],
        "ffn_norm": ["post_attention_layernorm"],
        "gate_up": ["mlp.gate_proj", "mlp.up_proj"],
        "down": ["mlp.down_proj"],
    }
    return [f"model.layers.{number}.{part}.weight" for part in parts[kind]]
