"""The forecast from the soundings finished so far, for a page that watches a running plan.

It is of fresh starts; a base model (``starts``) is forecast by the plan alone.

Nothing is written: the plan's own forecast, from all soundings, is made by the plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from leadsman.errors import LeadsmanError
from leadsman.laws import forecast_runs
from leadsman.plan.conclude import Y
from leadsman.plan.decide import points_of
from leadsman.plan.project import load_project
from leadsman.plan.soundings import final_options
from leadsman.plan.workspace import Workspace
from leadsman.runs import Ledger, Mixture

DRAWS = 400
LEAST_RUNS = 6
"""Finished soundings of a mixture below which no law can be told from another."""


def interim_forecast(work: Path) -> dict[str, Any]:
    """What the budget would give by the soundings finished so far.

    Args:
        work: a project's working directory, with its ``project.yaml``.

    Returns:
        ``{runs, intervals: [{mixture, low, median, high}]}`` with 80 % intervals at the middle
        size of the options, or ``{runs, why}`` where there are too few runs.
    """
    finished = [
        run
        for run in Ledger(str(work / "ledger"))
        if run.role == "proxy" and run.status == "finished" and run.recipe is not None
        if not run.recipe.start
    ]
    try:
        project = load_project(work / "project.yaml")
        rows = [run.row() for run in finished]
        counts = dict.fromkeys(project.soundings.mixtures, 0)
        for row in rows:
            counts[row["mixture"]] = counts.get(row["mixture"], 0) + 1
        few = [name for name, count in counts.items() if count < LEAST_RUNS]
        if few:
            told = f"{counts[few[0]]} finished runs of the {few[0]} mixture are too few to forecast"
            return {"runs": len(finished), "why": f"{told}; {LEAST_RUNS} are needed."}
        mixtures = [Mixture(name, {name: 1.0}) for name in counts]
        size = project.tokenizer.vocab_size
        if project.starts:  # whose tokenizer it is then
            size = Workspace(work).result("tokenise")["vocab_size"]
        options = final_options(project, mixtures, vocab_size=size, data="")
        widths = sorted({option.shape.width for option in options})
        middle = [each for each in options if each.shape.width == widths[len(widths) // 2]]
        forecast = forecast_runs(
            pl.DataFrame(rows, infer_schema_length=None),
            points_of(middle),
            y=Y,
            group="mixture",
            draws=DRAWS,
            seed=project.seed,
        )
    except LeadsmanError as error:
        return {"runs": len(finished), "why": f"No forecast yet: {error}"}
    bounds = [forecast.quantile(q).tolist() for q in (0.1, 0.5, 0.9)]
    return {
        "runs": len(finished),
        "intervals": [
            {"mixture": option.mixture.name, "low": low, "median": median, "high": high}
            for option, low, median, high in zip(middle, *bounds, strict=True)
        ],
    }
