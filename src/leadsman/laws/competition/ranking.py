"""Candidates ranked by how they predicted the user's own larger runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from leadsman.laws.competition.candidates import competing
from leadsman.laws.competition.evidence import gather
from leadsman.laws.competition.run_table import RunTable, compute_of, run_column
from leadsman.laws.competition.weights import law_weights, relative_errors

REACH = float(np.log(10.0))
"""Log distance the ranking is for: ten times the compute."""


def rank(
    runs: pl.DataFrame,
    *,
    y: str = "loss",
    x: Sequence[str] | None = None,
    law: str | Sequence[str] = "auto",
    run: str | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Error of every candidate at rolling origins, best first.

    Args:
        runs, y, x, law, run, seed: as in :func:`leadsman.laws.forecast_runs`.

    Returns:
        Columns ``law``, ``way``, ``error`` (mean absolute log error), ``bias`` (mean log of result
        over forecast), ``origins`` (cut-offs that scored it), ``weight``; and for each run that was
        forecast, as lists, ``beyond`` (its compute over the largest fitted on) and ``log_errors``.
    """
    table = RunTable.of(runs, x, run=run_column(runs, run))
    ends = table.choose("finished")
    candidates = competing(
        ends.frame, x=x, law=law, checkpoints=None if table.finished.all() else table.frame
    )
    largest = ends.frame.filter(pl.Series(ends.compute == ends.compute.max()))
    evidence = gather(candidates, table, largest, compute_of(largest, x), y=y, seed=seed)
    feasible = np.array([fitted is not None for fitted in evidence.fitted])
    prior = np.where(feasible, 1.0, 1e-300)
    weights = law_weights(
        [relative_errors(block, REACH) for block in evidence.origins], prior / prior.sum()
    )
    rows = []
    for m, candidate in enumerate(candidates):
        errors = [block.log_y - block.log_pred[m] for block in evidence.origins]
        seen = [each for each in errors if np.isfinite(each).all()]
        flat = np.concatenate(seen) if seen else np.array([np.nan])
        reach = [
            np.exp(block.distance)
            for block, each in zip(evidence.origins, errors, strict=True)
            if np.isfinite(each).all()
        ]
        rows.append(
            {
                "law": candidate.name.removesuffix(candidate.way).strip(),
                "way": candidate.way,
                "error": float(np.abs(flat).mean()),
                "bias": float(flat.mean()),
                "origins": len(seen),
                "weight": float(weights[m]),
                "beyond": np.concatenate(reach).tolist() if reach else [],
                "log_errors": np.concatenate(seen).tolist() if seen else [],
            }
        )
    return pl.DataFrame(rows).sort("error", nulls_last=True)
