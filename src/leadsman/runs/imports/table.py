"""A table with one run a row.

    id,params,tokens,loss.val,bpb.val,score.arc
    small,1.2e8,2.5e9,3.41,,0.31

``loss.SET``, ``bpb.SET`` and ``score.TASK`` are results (a plain ``loss`` is the set ``eval``);
other numbers are settings. A row without ``id`` is named by the file and its number.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from leadsman.errors import InputError
from leadsman.runs.imports.read import number
from leadsman.runs.ledger import Ledger
from leadsman.runs.run import Run
from leadsman.runs.table_file import read_table_file

KINDS = ("loss", "bpb", "score")


def import_table(path: str | Path, ledger: Ledger) -> list[Run]:
    """Write a run for each row of a table.

    Args:
        path: CSV, JSON lines or Parquet.
        ledger: where the runs go.

    Raises:
        InputError: no such file, no result in any column, or two rows with one id.
    """
    path = Path(path)
    runs = []
    for place, row in enumerate(read_table_file(path).iter_rows(named=True)):
        results: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
        settings = {}
        for name, value in row.items():
            known = number(value)
            if known is None:
                continue
            kind, _, of = name.partition(".")
            if kind in KINDS and (of or kind == "loss"):
                results[kind][of or "eval"] = known
            elif name != "id":
                settings[name] = known
        run_id = str(row["id"]) if row.get("id") is not None else f"{path.stem}-{place}"
        runs.append(
            Run(
                id=run_id,
                role="imported",
                losses=results["loss"],
                bpb=results["bpb"],
                scores=results["score"],
                settings=settings,
            )
        )
    if not any(run.losses or run.bpb or run.scores for run in runs):
        raise InputError("no column is a result: loss, loss.SET, bpb.SET or score.TASK", file=path)
    counts = Counter(run.id for run in runs)
    twice = next((run_id for run_id, count in counts.items() if count > 1), None)
    if twice is not None:
        raise InputError(f"two rows are called {twice!r}", file=path, column="id")
    for run in runs:
        ledger.add(run)
    return runs
