"""Runs made elsewhere, as runs of our ledger: tables, W&B histories, lm-eval results.

The Hugging Face ``trainer_state.json`` is read by :mod:`leadsman.train.hf.trainer`.
"""

from leadsman.runs.imports.lm_eval import import_lm_eval
from leadsman.runs.imports.table import import_table
from leadsman.runs.imports.wandb import import_wandb

__all__ = ["import_lm_eval", "import_table", "import_wandb"]
