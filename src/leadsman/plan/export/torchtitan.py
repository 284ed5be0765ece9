"""torchtitan (from 0.3, whose configs are Python): a module with the function ``recipe``."""

from __future__ import annotations

from importlib.resources import files as resources

from leadsman.plan.export.common import Exported
from leadsman.runs import Recipe


def torchtitan_files(recipe: Recipe) -> Exported:
    """``leadsman_recipe.py``, a config registry with the one config ``recipe``."""
    place = resources("leadsman.plan.export").joinpath("torchtitan_config.py")
    notes = [
        "    pip install torchtitan",
        "    PYTHONPATH=. torchrun --nproc_per_node=8 -m torchtitan.train \\",
        "      --module leadsman_recipe --config recipe",
        "",
        "Put the mixture's text as JSONL with a column `text` into data/, in the shares below;",
        "the tokenizer is read from model/. Learning rates by kind of parameter, tied embeddings",
        "and the schedule are the recipe's. To start from Leadsman's initial weights, add",
        "`--checkpoint.initial_load_path model --checkpoint.initial_load_in_hf`.",
        "",
        "Not carried over: the warm-up of torchtitan starts one step earlier; its cosine is",
        "a decay over all steps after warm-up; its norms use its own epsilon.",
    ]
    if recipe.schedule.name == "constant":
        notes.append("A constant schedule is written as a decay of no depth (min_lr_factor 1).")
    return Exported({"leadsman_recipe.py": place.read_text(encoding="utf-8")}, notes)
