"""Forecasts to register, from the files that Leadsman's commands write.

* ``plan.json`` of a project: the chosen recipe and the naive one;
* the table of ``leadsman forecast --out``: one row, with a column ``id`` or an id given apart;
* a JSON object with the fields of :class:`leadsman.runs.RegisteredForecast`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leadsman.errors import InputError
from leadsman.runs.register.forecast import LEVELS, RegisteredForecast

TABLES: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
    ".parquet": pl.read_parquet,
}
QUANTILES = {
    "q025": 0.025, "q05": 0.05, "q10": 0.1, "q25": 0.25, "q50": 0.5,
    "q75": 0.75, "q90": 0.9, "q95": 0.95, "q975": 0.975,
}  # fmt: skip
KEEP = 199


def read_forecasts(
    file: Path, *, run_id: str | None = None, y: str | None = None
) -> list[RegisteredForecast]:
    """Forecasts in a file.

    Args:
        file: ``plan.json``, a table of forecasts (.csv, .jsonl, .parquet), or one forecast (.json).
        run_id: what the run is called, for a table without a column ``id``.
        y: the predicted column, for a table without a column ``y``.

    Raises:
        InputError: the file is missing, is none of these, or lacks something; named.
    """
    if not file.is_file():
        raise InputError("there is no such file", file=file)
    if file.suffix.lower() == ".json":
        return _from_json(file)
    if file.suffix.lower() not in TABLES:
        raise InputError(
            "a forecast is a plan.json, a .json, or a table (.csv, .jsonl, .parquet) as "
            "`leadsman forecast --out` writes it",
            file=file,
        )
    try:
        table = TABLES[file.suffix.lower()](file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"not a table: {error}", file=file) from error
    return _from_table(table, file, run_id, y)


def _from_json(file: Path) -> list[RegisteredForecast]:
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", file=file) from error
    found: list[Any] = [plain]
    if isinstance(plain, dict) and "chosen" in plain:
        found = [plain[key]["forecast"] for key in ("chosen", "naive") if plain.get(key)]
    try:
        forecasts = {each["id"]: RegisteredForecast.from_dict(each) for each in found}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"neither a plan nor a forecast: field {error} is missing or wrong", file=file
        ) from error
    for forecast in forecasts.values():
        _check(forecast, file)
    return list(forecasts.values())


def _from_table(
    table: pl.DataFrame, file: Path, run_id: str | None, y: str | None
) -> list[RegisteredForecast]:
    missing = [name for name in ("mean", *QUANTILES) if name not in table.columns]
    if missing:
        raise InputError(
            f"has no column {missing[0]!r}; write it with `leadsman forecast ... --out`", file=file
        )
    if "id" not in table.columns and (run_id is None or len(table) != 1):
        raise InputError(
            f"has {len(table)} rows and no column 'id' that says which run each is about; add one, "
            f"or give --id with a table of one row",
            file=file,
        )
    if "y" not in table.columns and y is None:
        raise InputError("does not say what was forecast; give --y, for example --y loss.val")
    forecasts = []
    for row in table.iter_rows(named=True):
        levels = np.arange(KEEP, dtype=np.float64)
        known = [float(row[name]) for name in QUANTILES]
        forecast = RegisteredForecast(
            id=str(run_id or row["id"]),
            y=str(y or row["y"]),
            mean=float(row["mean"]),
            median=float(row["q50"]),
            intervals={
                str(level): (
                    float(np.interp((1 - level) / 2, list(QUANTILES.values()), known)),
                    float(np.interp((1 + level) / 2, list(QUANTILES.values()), known)),
                )
                for level in LEVELS
            },
            draws=tuple(np.interp((levels + 0.5) / KEEP, list(QUANTILES.values()), known).tolist()),
            law=str(row.get("law", "")),
            warnings=(str(row["warnings"]),) if row.get("warnings") else (),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _check(forecast, file)
        forecasts.append(forecast)
    return forecasts


def _check(forecast: RegisteredForecast, file: Path) -> None:
    """Refuse what cannot be scored."""
    if not forecast.id or "/" in forecast.id:
        raise InputError(f"{forecast.id!r} is not the name of a run", file=file, column="id")
    if set(forecast.intervals) != {str(level) for level in LEVELS} or not forecast.draws:
        wanted = ", ".join(str(level) for level in LEVELS)
        raise InputError(f"needs draws and intervals at {wanted}", file=file, column="intervals")
    numbers = [forecast.mean, forecast.median, *forecast.draws]
    numbers += [bound for pair in forecast.intervals.values() for bound in pair]
    if not np.isfinite(numbers).all():
        raise InputError("holds a value that is not a finite number", file=file)
    if any(low > high for low, high in forecast.intervals.values()):
        raise InputError("has an interval whose lower bound is above its upper", file=file)
