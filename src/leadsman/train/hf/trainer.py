"""Runs of the Hugging Face ``Trainer`` in the ledger: as they happen, or read afterwards.

    Trainer(..., callbacks=[ledger_callback(Ledger("runs"), "my-run")])
    import_trainer_state("output/checkpoint-500/trainer_state.json", Ledger("runs"))

Both write the same run: the training curve from the ``loss`` entries of the log, and the last
``eval_SET_loss`` of each evaluation set as its loss (``eval_loss`` is the set ``eval``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from leadsman.errors import InputError, MissingExtraError
from leadsman.runs import Ledger, Run
from leadsman.train.provenance import now


def import_trainer_state(
    path: str | Path,
    ledger: Ledger,
    *,
    run_id: str = "",
    tokens_per_step: int = 0,
    settings: Mapping[str, float] | None = None,
) -> Run:
    """Write a run from a ``trainer_state.json``.

    Args:
        path: the file, as a checkpoint holds it.
        ledger: where the run goes.
        run_id: its name; by default that of the directory two above the file (the output
            directory of a checkpoint).
        tokens_per_step: tokens in one optimizer step; 0 if not known.
        settings: numbers that describe the run, such as ``params``.

    Raises:
        InputError: the file is missing, not a trainer state, or holds no loss.
    """
    path = Path(path)
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        history = state["log_history"]
    except FileNotFoundError as error:
        raise InputError("there is no such file", file=path) from error
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from error
    except (KeyError, TypeError) as error:
        raise InputError("not a trainer state: log_history is missing", file=path) from error
    return _add(
        history,
        ledger,
        run_id or path.resolve().parent.parent.name,
        tokens_per_step=tokens_per_step,
        settings=dict(settings or {}),
        place=str(path),
    )


def ledger_callback(
    ledger: Ledger, run_id: str, *, tokens_per_step: int = 0, role: str = "imported"
) -> Any:
    """A ``TrainerCallback`` that writes the run into the ledger when training ends.

    Args:
        ledger: where the run goes.
        run_id: its name.
        tokens_per_step: tokens in one optimizer step; 0 if not known.
        role: what the run is for.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingExtraError("train", "a Trainer callback") from error

    class LedgerCallback(TrainerCallback):  # type: ignore[misc]
        """Writes the run once, at the end."""

        def on_train_end(self, args: Any, state: Any, control: Any, **extra: Any) -> None:
            model = extra.get("model")
            settings = {} if model is None else {"params": float(_non_embedding_params(model))}
            _add(
                state.log_history,
                ledger,
                run_id,
                tokens_per_step=tokens_per_step,
                settings=settings,
                place=run_id,
                role=role,
            )

    return LedgerCallback()


def _add(
    history: Sequence[Mapping[str, Any]],
    ledger: Ledger,
    run_id: str,
    *,
    tokens_per_step: int,
    settings: dict[str, float],
    place: str,
    role: str = "imported",
) -> Run:
    curve = _curve(history, tokens_per_step)
    losses: dict[str, float] = {}
    seconds = math.nan
    for entry in history:
        for name, value in entry.items():
            if name == "eval_loss":
                losses["eval"] = float(value)
            elif name.startswith("eval_") and name.endswith("_loss"):
                losses[name.removeprefix("eval_").removesuffix("_loss")] = float(value)
            elif name == "train_runtime":
                seconds = float(value)
    if curve.is_empty() and not losses:
        raise InputError("log_history holds no loss", file=place)
    steps = max(int(entry.get("step", 0)) for entry in history)
    settings |= {"steps": float(steps)}
    if tokens_per_step:
        settings["tokens"] = float(steps * tokens_per_step)
    run = Run(
        id=run_id, role=role, losses=losses, settings=settings, seconds=seconds, created=now()
    )
    ledger.add(run, curve=curve)
    return run


def _curve(history: Sequence[Mapping[str, Any]], tokens_per_step: int) -> pl.DataFrame:
    rows = [
        {
            "step": int(entry["step"]),
            "tokens": int(entry["step"]) * tokens_per_step or None,
            "loss": float(entry["loss"]),
            "lr": float(entry.get("learning_rate", math.nan)),
        }
        for entry in history
        if "loss" in entry and "step" in entry
    ]
    schema = {"step": pl.Int64, "tokens": pl.Int64, "loss": pl.Float64, "lr": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


def _non_embedding_params(model: Any) -> int:
    embeddings = {id(model.get_input_embeddings().weight)}
    output = model.get_output_embeddings()
    if output is not None:
        embeddings.add(id(output.weight))
    return sum(param.numel() for param in model.parameters() if id(param) not in embeddings)
