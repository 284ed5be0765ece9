"""The Hugging Face Trainer: a script that stands alone, and its arguments."""

from __future__ import annotations

import json
from importlib.resources import files as resources

from leadsman.plan.export.common import BETAS, EPS, Exported, sequences, warmup_steps
from leadsman.runs import Recipe

SCHEDULES = {"wsd": "warmup_stable_decay", "cosine": "cosine", "constant": "constant_with_warmup"}


def hf_trainer_files(recipe: Recipe) -> Exported:
    """``train.py`` and ``arguments.json``.

    The arguments are those of ``transformers.TrainingArguments``. The script hands its own
    optimizer groups and schedule to the Trainer, as the recipe has them.
    """
    arguments = {
        "output_dir": "output",
        "max_steps": recipe.steps,
        "per_device_train_batch_size": sequences(recipe),
        "gradient_accumulation_steps": 1,
        "learning_rate": recipe.lr,
        "lr_scheduler_type": SCHEDULES[recipe.schedule.name],
        "lr_scheduler_kwargs": {},
        "warmup_steps": warmup_steps(recipe),
        "weight_decay": recipe.weight_decay,
        "adam_beta1": BETAS[0],
        "adam_beta2": BETAS[1],
        "adam_epsilon": EPS,
        "max_grad_norm": recipe.grad_clip,
        "bf16": recipe.precision == "bf16",
        "seed": recipe.seed,
        "logging_steps": max(1, recipe.steps // 200),
        "logging_first_step": True,
        "save_strategy": "no",
        "report_to": "none",
        "remove_unused_columns": False,
        "dataloader_drop_last": True,
    }
    script = resources("leadsman.plan.export").joinpath("hf_script.py").read_text(encoding="utf-8")
    notes = [
        "    pip install torch transformers accelerate safetensors numpy",
        "    python train.py                       # all of it",
        "    python train.py --max_steps 20        # any Trainer argument can be given",
        "",
        "The script reads recipe.json, arguments.json, model/ and the token sets of tokens.json.",
        "Learning rates by kind of parameter and the schedule are the recipe's. On several devices",
        "divide per_device_train_batch_size by their number: the recipe's batch is the total.",
        "The order of the documents within a source is drawn anew, not Leadsman's.",
    ]
    return Exported({"train.py": script, "arguments.json": json.dumps(arguments, indent=1)}, notes)
