"""What a report shows, read from a project's working directory; nothing is computed here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from leadsman.errors import InputError
from leadsman.humanize import DataWords
from leadsman.runs import ForecastScore, Ledger, TrackRecord
from leadsman.runs.register.chain import Fault

PLAN_FIELDS = ("y", "budget_flops", "chosen", "naive", "alternatives", "sounding_flops")
CANDIDATE_COLUMNS = (
    "mixture", "width", "params", "tokens", "flops", "serve_flops_per_token", "draws",
)  # fmt: skip


@dataclass(frozen=True)
class Register:
    """What the register of forecasts says.

    Attributes:
        scores: scored forecasts, in order of registration.
        times: when each was registered, by run id.
        record: the track record; ``None`` before the first score.
        pending: forecasts whose runs are not finished.
        head: hash of the last entry.
        fault: the first entry that was tampered with.
    """

    scores: tuple[ForecastScore, ...] = ()
    times: dict[str, str] = field(default_factory=dict)
    record: TrackRecord | None = None
    pending: int = 0
    head: str = ""
    fault: Fault | None = None


@dataclass(frozen=True)
class Findings:
    """Everything in a working directory that a person wants to see.

    Attributes:
        name: the project's name.
        stages: result of each finished stage, by name.
        plan: the plan as stored, empty before the decision.
        runs: one row a run, as :meth:`leadsman.runs.Ledger.frame`.
        curves: training curve by run id.
        register: forecasts written before their runs, and their scores.
        candidates: stored draws of every candidate, for the sliders; empty if none were stored.
        project_file: text of the project file.
    """

    name: str
    stages: dict[str, Any]
    plan: dict[str, Any]
    runs: pl.DataFrame
    curves: dict[str, pl.DataFrame] = field(default_factory=dict)
    register: Register = field(default_factory=Register)
    candidates: pl.DataFrame = field(default_factory=pl.DataFrame)
    project_file: str = ""

    @property
    def words(self) -> DataWords:
        """What people read for the names of mixtures."""
        return words_of(self.stages.get("select") or {})

    def run(self, run_id: str) -> dict[str, Any]:
        """The row of one run; empty if it is not in the ledger."""
        if self.runs.is_empty():
            return {}
        found = self.runs.filter(pl.col("id") == run_id)
        return found.row(0, named=True) if len(found) else {}


def words_of(selected: dict[str, Any]) -> DataWords:
    """What people read for the names of mixtures, from the result of the stage that selected."""
    return DataWords(selected.get("keep"), selected.get("called") or selected.get("method", ""))


def read_findings(work: Path) -> Findings:
    """Read a working directory.

    Raises:
        InputError: there is nothing in it to report, or a file in it is damaged or not what its
            name says.
    """
    if not work.is_dir():
        raise InputError(
            "there is no such directory; name a project's working directory (PROJECT/work)",
            file=work,
        )
    stages = {
        path.stem: read_stage(path)
        for path in sorted((work / "stages").glob("*.json"))
        if not path.name.startswith(".")
    }
    if not stages:
        raise InputError("nothing has been done here yet, so there is nothing to report", file=work)
    project_file = work / "project.yaml"
    ledger = Ledger(str(work / "ledger"))
    return Findings(
        name=stages.get("prepare", {}).get("project", work.resolve().parent.name),
        stages=stages,
        plan=read_plan(work / "plan.json"),
        runs=ledger.frame(),
        curves={run_id: ledger.curve(run_id) for run_id in ledger.ids()},
        register=read_register(ledger),
        candidates=read_candidates(work / "plan_draws.parquet"),
        project_file=project_file.read_text() if project_file.exists() else "",
    )


def read_stage(file: Path) -> Any:
    """The result of a finished stage."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))["result"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(
            "not the result of a stage (damaged?); delete it and run `leadsman plan` again",
            file=file,
        ) from error


def read_plan(file: Path) -> dict[str, Any]:
    """A stored plan; empty if there is none.

    Raises:
        InputError: the file is damaged, or was written by a version that kept other fields.
    """
    if not file.exists():
        return {}
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"not JSON ({error}); delete it and run `leadsman plan` again", file=file
        ) from error
    missing = [name for name in PLAN_FIELDS if not isinstance(plan, dict) or name not in plan]
    for option in ("chosen", "naive"):
        if not missing and not {"recipe", "forecast"} <= set(plan[option] or {}):
            missing = [f"{option}.recipe and {option}.forecast"]
    if missing:
        raise InputError(
            f"this is no plan that this version of Leadsman reads: it has no {missing[0]}; run "
            f"`leadsman plan` again, what is done is kept",
            file=file,
        )
    return dict(plan)


def read_candidates(file: Path) -> pl.DataFrame:
    """Stored draws of the candidates; empty if there are none.

    Raises:
        InputError: the file is damaged or lacks a column.
    """
    if not file.exists():
        return pl.DataFrame()
    again = "delete it and run `leadsman plan` again"
    try:
        table = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"not a Parquet file ({error}); {again}", file=file) from error
    for name in CANDIDATE_COLUMNS:
        if name not in table.columns:
            raise InputError(f"has no column {name!r}; {again}", file=file)
    if table["draws"].list.len().n_unique() > 1 or table.null_count().sum_horizontal().sum():
        raise InputError(
            f"its rows have different numbers of draws, or empty cells; {again}", file=file
        )
    return table


def read_register(ledger: Ledger) -> Register:
    """The register of forecasts; tampering is part of what is found, not an error."""
    fault = ledger.book.verify()
    if fault is not None:
        return Register(fault=fault)
    standing = ledger.book.forecasts()
    record = ledger.book.record()
    scores = ledger.book.scores()
    return Register(
        scores=tuple(scores),
        times={run_id: entry.time for run_id, (entry, _) in standing.items()},
        record=record,
        pending=len(standing) - len(scores),
        head=ledger.book.chain.head if standing else "",
    )
