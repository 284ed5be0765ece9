"""litgpt: one YAML file for ``litgpt pretrain``."""

from __future__ import annotations

from typing import Any

import yaml

from leadsman.plan.export.common import BETAS, EPS, Exported, Rates, sequences, warmup_steps
from leadsman.runs import Recipe


def litgpt_files(recipe: Recipe) -> Exported:
    """``litgpt.yaml``."""
    shape, rates = recipe.shape, Rates.of(recipe)
    config: dict[str, Any] = {
        "model_name": "leadsman",
        "model_config": {
            "name": "leadsman",
            "block_size": shape.seq_len,
            "n_layer": shape.layers,
            "n_embd": shape.width,
            "n_head": shape.heads,
            "head_size": shape.head_width,
            "n_query_groups": shape.kv_heads,
            "intermediate_size": shape.ffn_width,
            "vocab_size": shape.vocab_size,
            "padded_vocab_size": shape.vocab_size,
            "rope_base": 10_000,
            "rotary_percentage": 1.0,
            "parallel_residual": False,
            "bias": False,
            "norm_class_name": "RMSNorm",
            "norm_eps": 1e-6,
            "mlp_class_name": "LLaMAMLP",
        },
        "out_dir": "output",
        "precision": "bf16-mixed" if recipe.precision == "bf16" else "32-true",
        "data": {"class_path": "litgpt.data.TextFiles", "init_args": {"train_data_path": "data"}},
        "train": {
            "save_interval": None,
            "log_interval": 1,
            "global_batch_size": sequences(recipe),
            "micro_batch_size": sequences(recipe),
            "lr_warmup_steps": warmup_steps(recipe),
            "max_tokens": recipe.steps * recipe.batch_tokens,
            "max_seq_length": shape.seq_len,
            "max_norm": recipe.grad_clip,
            "min_lr": rates.matrix * recipe.schedule.final_lr_ratio,
            "tie_embeddings": shape.tie_embeddings,
        },
        "optimizer": {
            "class_path": "torch.optim.AdamW",
            "init_args": {
                "lr": rates.matrix,
                "weight_decay": rates.matrix_decay,
                "betas": list(BETAS),
                "eps": EPS,
            },
        },
        "tokenizer_dir": "model",
        "seed": recipe.seed,
    }
    notes = [
        "    pip install litgpt litdata",
        "    litgpt pretrain --config litgpt.yaml",
        "",
        "Put the mixture's text as .txt files into data/ (in the proportions below).",
        "",
        "Not carried over: litgpt has one learning rate for all parameters (here that of the block",
        "matrices; the recipe's embedding learns at "
        f"{rates.embedding:.3g}, its norms at {rates.norm:.3g}), decays all of them, draws its own",
        "initial weights, and always warms up and decays as a cosine (the recipe's schedule is",
        f"{recipe.schedule.name}). Expect another loss than the forecast's.",
    ]
    text = f"# Leadsman recipe {recipe.id}\n" + yaml.safe_dump(config, sort_keys=False)
    return Exported({"litgpt.yaml": text}, notes)
