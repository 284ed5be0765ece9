"""The bundled history: how wrong our own extrapolations were on public tables of runs.

``history.parquet`` holds one row a forecast point (columns: source, dataset, case, group, origin,
share, law, the parts of :class:`~leadsman.laws.calibration.error_model.Parts`, error);
``error_model.json`` the constants learned from all of it. Both are written by
``benchmarks/laws/backtest.py``; the tables of runs themselves are not needed.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import polars as pl

from leadsman.laws.calibration.error_model import ErrorModel

COMBINED = "combined"
"""Value of ``law`` in rows of the weighted combination; others are single, classical fits."""


@cache
def bundled_model() -> ErrorModel:
    """Constants learned from the whole bundled history.

    >>> bundled_model().dof > 1
    True
    """
    text = resources.files("leadsman.laws.calibration").joinpath("error_model.json").read_text()
    return ErrorModel(**json.loads(text))


def bundled_history() -> pl.DataFrame:
    """The history table, one row a forecast point and law."""
    file = resources.files("leadsman.laws.calibration").joinpath("history.parquet")
    return pl.read_parquet(file.read_bytes())
