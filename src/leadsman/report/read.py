"""What a report shows, read from a project's working directory; nothing is computed here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from leadsman.errors import InputError
from leadsman.runs import ForecastScore, Ledger


@dataclass(frozen=True)
class Findings:
    """Everything in a working directory that a person wants to see.

    Attributes:
        name: the project's name.
        stages: result of each finished stage, by name.
        plan: the plan as stored, empty before the decision.
        runs: one row a run, as :meth:`leadsman.runs.Ledger.frame`.
        curves: training curve by run id.
        track_record: scored forecasts, oldest first.
        project_file: text of the project file.
    """

    name: str
    stages: dict[str, Any]
    plan: dict[str, Any]
    runs: pl.DataFrame
    curves: dict[str, pl.DataFrame] = field(default_factory=dict)
    track_record: tuple[ForecastScore, ...] = ()
    project_file: str = ""

    def run(self, run_id: str) -> dict[str, Any]:
        """The row of one run."""
        return self.runs.row(by_predicate=pl.col("id") == run_id, named=True)


def read_findings(work: Path) -> Findings:
    """Read a working directory.

    Raises:
        InputError: there is nothing in it to report.
    """
    stages = {
        path.stem: json.loads(path.read_text())["result"]
        for path in sorted((work / "stages").glob("*.json"))
    }
    if not stages:
        raise InputError("nothing has been done here yet, so there is nothing to report", file=work)
    plan_file = work / "plan.json"
    project_file = work / "project.yaml"
    ledger = Ledger(str(work / "ledger"))
    return Findings(
        name=stages.get("prepare", {}).get("project", work.resolve().parent.name),
        stages=stages,
        plan=json.loads(plan_file.read_text()) if plan_file.exists() else {},
        runs=ledger.frame(),
        curves={run_id: ledger.curve(run_id) for run_id in ledger.ids()},
        track_record=tuple(ledger.track_record()),
        project_file=project_file.read_text() if project_file.exists() else "",
    )
