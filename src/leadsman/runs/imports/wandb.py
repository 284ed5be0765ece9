"""The history of a Weights & Biases run, as exported to a table.

One row a step: ``_step``, the training loss (``train/loss``, ``train_loss`` or ``loss``), and the
evaluation losses (``eval/loss``, ``eval/SET_loss``, ``val/loss``, ``val_loss``), empty where they
were not logged. Tokens come from a column ``tokens`` or ``train/num_input_tokens_seen``, or from
``tokens_per_step``. The last value of each evaluation loss is the run's result.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from leadsman.errors import InputError
from leadsman.runs.ledger import Ledger
from leadsman.runs.run import Run
from leadsman.runs.table_file import read_table_file

STEP = ("_step", "step", "train/global_step", "trainer/global_step")
TRAIN_LOSS = ("train/loss", "train_loss", "loss", "training_loss")
TOKENS = ("tokens", "train/num_input_tokens_seen", "train/tokens", "num_tokens")
LR = ("train/learning_rate", "lr", "learning_rate")
EVALUATION = ("eval", "val", "valid", "validation", "test")


def import_wandb(
    path: str | Path, ledger: Ledger, *, run_id: str = "", tokens_per_step: int = 0
) -> Run:
    """Write a run from an exported history.

    Args:
        path: CSV, JSON lines or Parquet.
        ledger: where the run goes.
        run_id: its name; by default that of the file.
        tokens_per_step: tokens in one optimizer step, if no column tells them.

    Raises:
        InputError: no such file, or no column with steps or a loss.
    """
    path = Path(path)
    history = read_table_file(path)
    step = _first(history, STEP)
    if step is None:
        raise InputError(f"no column with the step: {', '.join(STEP)}", file=path)
    history = history.sort(step)
    losses = {
        name: float(values[-1])
        for column in history.columns
        if (name := _evaluation_set(column)) and len(values := history[column].drop_nulls())
    }
    curve = _curve(history, step, tokens_per_step)
    if curve.is_empty() and not losses:
        raise InputError(f"no column with a loss, such as {', '.join(TRAIN_LOSS)}", file=path)
    settings = {"steps": float(history[step].max())}  # type: ignore[arg-type]
    if len(curve) and curve["tokens"][-1] is not None:
        settings["tokens"] = float(curve["tokens"][-1])
    run = Run(id=run_id or path.stem, role="imported", losses=losses, settings=settings)
    ledger.add(run, curve=curve)
    return run


def _curve(history: pl.DataFrame, step: str, tokens_per_step: int) -> pl.DataFrame:
    loss, tokens, lr = (_first(history, names) for names in (TRAIN_LOSS, TOKENS, LR))
    schema = {"step": pl.Int64, "tokens": pl.Int64, "loss": pl.Float64, "lr": pl.Float64}
    if loss is None:
        return pl.DataFrame(schema=schema)
    seen = pl.col(step) * tokens_per_step if tokens_per_step else pl.lit(None)
    return (
        history.filter(pl.col(loss).is_not_null())
        .select(
            step=pl.col(step),
            tokens=seen if tokens is None else pl.col(tokens),
            loss=pl.col(loss),
            lr=pl.lit(None) if lr is None else pl.col(lr),
        )
        .cast(schema)  # type: ignore[arg-type]
    )


def _first(history: pl.DataFrame, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in history.columns), None)


def _evaluation_set(column: str) -> str:
    """The evaluation set whose loss a column is; empty for any other column.

    >>> [_evaluation_set(name) for name in ("eval/loss", "val_loss", "eval/c4_loss", "train/loss")]
    ['eval', 'val', 'c4', '']
    """
    group, _, rest = column.replace("/", "_", 1).partition("_")
    if group not in EVALUATION or not rest.endswith("loss"):
        return ""
    return rest.removesuffix("loss").strip("_/") or group
