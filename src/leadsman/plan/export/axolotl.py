"""axolotl: one YAML file."""

from __future__ import annotations

from typing import Any

import yaml

from leadsman.plan.export.common import BETAS, EPS, Exported, Rates, sequences, warmup_steps
from leadsman.plan.export.common import decay_steps as steps_of_decay
from leadsman.runs import Recipe

SCHEDULES = {"wsd": "warmup_stable_decay", "cosine": "cosine", "constant": "constant_with_warmup"}


def axolotl_files(recipe: Recipe) -> Exported:
    """``axolotl.yaml``: pretraining from the exported weights on the mixture's text."""
    rates = Rates.of(recipe)
    norms = ["input_layernorm", "post_attention_layernorm"]
    config: dict[str, Any] = {
        "base_model": "./model",
        "tokenizer_config": "./model",
        "tokenizer_type": "PreTrainedTokenizerFast",
        "special_tokens": {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        "pretraining_dataset": [{"path": "./data", "type": "pretrain", "text_column": "text"}],
        "sequence_len": recipe.shape.seq_len,
        "sample_packing": False,
        "max_steps": recipe.steps,
        "micro_batch_size": sequences(recipe),
        "gradient_accumulation_steps": 1,
        "optimizer": "adamw_torch_fused",
        "learning_rate": rates.matrix,
        "embedding_lr": rates.embedding,
        "lr_groups": [{"name": "norms", "modules": norms, "lr": rates.norm}],
        "weight_decay": rates.matrix_decay,
        "adam_beta1": BETAS[0],
        "adam_beta2": BETAS[1],
        "adam_epsilon": EPS,
        "max_grad_norm": recipe.grad_clip,
        "lr_scheduler": SCHEDULES[recipe.schedule.name],
        "warmup_steps": warmup_steps(recipe),
        "bf16": recipe.precision == "bf16",
        "fp16": False,
        "tf32": False,
        "seed": recipe.seed,
        "output_dir": "./output",
        "logging_steps": max(1, recipe.steps // 200),
        "save_strategy": "no",
    }
    if recipe.schedule.name == "wsd":
        config["lr_scheduler_kwargs"] = {
            "num_decay_steps": steps_of_decay(recipe),
            "min_lr_ratio": recipe.schedule.final_lr_ratio,
            "decay_type": "linear",
        }
    notes = [
        "    pip install axolotl",
        "    axolotl train axolotl.yaml",
        "",
        "Put the mixture's text as JSONL with a column `text` into data/, in the shares below.",
        "On several devices divide micro_batch_size by their number: this is the total batch.",
        "Not carried over: axolotl decays the weights of the embedding too.",
    ]
    if recipe.schedule.name == "cosine" and recipe.schedule.final_lr_ratio:
        config["cosine_min_lr_ratio"] = recipe.schedule.final_lr_ratio
    text = f"# Leadsman recipe {recipe.id}\n" + yaml.safe_dump(config, sort_keys=False)
    return Exported({"axolotl.yaml": text}, notes)
