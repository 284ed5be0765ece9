"""A Leadsman recipe as a torchtitan config: ``--module leadsman_recipe --config recipe``.

Reads recipe.json beside this file. Written for torchtitan 0.3.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def recipe() -> Any:
    """The whole job, as ``torchtitan.trainer.Trainer.Config``."""
    from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
    from torchtitan.components.optimizer import LRSchedulersContainer
    from torchtitan.config import TrainingConfig
    from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader
    from torchtitan.trainer import Trainer

    plain = json.loads((HERE / "recipe.json").read_text())
    shape, schedule = plain["shape"], plain["schedule"]
    sequences = plain["batch_tokens"] // shape["seq_len"]
    constant = schedule["name"] == "constant"
    return Trainer.Config(
        loss=ChunkedLossWrapper.Config(
            loss_fn=CrossEntropyLoss.Config(global_vocab_size=shape["vocab_size"])
        ),
        hf_assets_path=str(HERE / "model"),
        model_spec=model_spec(shape),
        optimizer=optimizer(plain),
        lr_scheduler=LRSchedulersContainer.Config(
            warmup_steps=-(-schedule["warmup_tokens"] // plain["batch_tokens"]),
            decay_ratio=schedule["decay_fraction"] if schedule["name"] == "wsd" else None,
            decay_type="cosine" if schedule["name"] == "cosine" else "linear",
            min_lr_factor=1.0 if constant else schedule["final_lr_ratio"],
        ),
        training=TrainingConfig(
            local_batch_size=sequences,
            global_batch_size=sequences,
            seq_len=shape["seq_len"],
            steps=plain["tokens"] // plain["batch_tokens"],
            max_norm=plain["grad_clip"],
            mixed_precision_param="bfloat16" if plain["precision"] == "bf16" else "float32",
        ),
        dataloader=HuggingFaceTextDataLoader.Config(
            dataset="c4_test",  # the name of its loader for plain text; read from the path below
            dataset_path=str(HERE / "data"),
        ),
    )


def optimizer(plain: dict[str, Any]) -> Any:
    """AdamW with the recipe's learning rate for each kind of parameter."""
    from torchtitan.components.optimizer import OptimizersContainer
    from torchtitan.components.optimizer.optimizer import ParamGroupConfig

    m = 64 / plain["shape"]["width"]
    lr, decay = plain["lr"], plain["weight_decay"]
    kinds = [
        (r"^tok_embeddings\.", 12 * lr, 0.0),
        (r"^norm\.", lr * m if plain["shape"]["tie_embeddings"] else lr, 0.0),
        (r"^lm_head\.", lr * m, 0.0),
        (r"_norm\.", lr, 0.0),
        (r".*", lr * m, decay / m),
    ]
    return OptimizersContainer.Config(
        param_groups=[
            ParamGroupConfig(
                pattern=pattern,
                optimizer_name="AdamW",
                optimizer_kwargs={
                    "lr": rate,
                    "betas": (0.9, 0.95),
                    "eps": 1e-8,
                    "weight_decay": weight_decay,
                },
            )
            for pattern, rate, weight_decay in kinds
        ]
    )


def model_spec(shape: dict[str, Any]) -> Any:
    """The model: a Llama with the recipe's sizes and initial deviations."""
    import torch.nn as nn
    from torchtitan.distributed.pipeline_parallel import pipeline_llm
    from torchtitan.models.common import ComplexRoPE, Embedding, Linear, RMSNorm
    from torchtitan.models.common.config_utils import (
        get_attention_config,
        make_ffn_config,
        make_gqa_config,
    )
    from torchtitan.models.llama3 import parallelize_llama
    from torchtitan.models.llama3.model import Llama3Model, Llama3TransformerBlock
    from torchtitan.models.llama3.state_dict_adapter import Llama3StateDictAdapter
    from torchtitan.protocols.model_spec import ModelSpec

    width, vocabulary = shape["width"], shape["vocab_size"]
    one = {"weight": nn.init.ones_}
    drawn = {"weight": partial(nn.init.normal_, std=width**-0.5)}
    zero = {"weight": nn.init.zeros_}
    last = (
        {"weight": partial(nn.init.constant_, val=64 / width)} if shape["tie_embeddings"] else one
    )
    rope = ComplexRoPE.Config(
        dim=width // shape["heads"], max_seq_len=shape["seq_len"], theta=10_000
    )
    layers = [
        Llama3TransformerBlock.Config(
            attention_norm=RMSNorm.Config(normalized_shape=width, param_init=one),
            ffn_norm=RMSNorm.Config(normalized_shape=width, param_init=one),
            attention=make_gqa_config(
                dim=width,
                n_heads=shape["heads"],
                n_kv_heads=shape["kv_heads"],
                wqkv_param_init=drawn,
                wo_param_init=zero,
                inner_attention=get_attention_config("flex"),
                fuse_qkv=True,
                rope=rope,
            ),
            feed_forward=make_ffn_config(
                dim=width,
                hidden_dim=shape["ffn_width"],
                w1_param_init=drawn,
                w2w3_param_init=drawn,
            ),
        )
        for _ in range(shape["layers"])
    ]
    return ModelSpec(
        name="llama3",
        flavor="leadsman",
        model=Llama3Model.Config(
            dim=width,
            vocab_size=vocabulary,
            enable_weight_tying=shape["tie_embeddings"],
            tok_embeddings=Embedding.Config(
                num_embeddings=vocabulary,
                embedding_dim=width,
                param_init={"weight": partial(nn.init.normal_, std=0.1)},
            ),
            norm=RMSNorm.Config(normalized_shape=width, param_init=last),
            lm_head=Linear.Config(in_features=width, out_features=vocabulary, param_init=zero),
            layers=layers,
        ),
        parallelize_fn=parallelize_llama,
        pipelining_fn=pipeline_llm,
        post_optimizer_build_fn=None,
        state_dict_adapter=Llama3StateDictAdapter,
    )
