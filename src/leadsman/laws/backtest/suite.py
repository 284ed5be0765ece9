"""The back-test: every case forecast from its small runs, by us and by the baselines.

1. :func:`~leadsman.laws.backtest.measure.measure_all` fits everything on the runs a forecast may
   see (slow; one process a case).
2. :func:`history_of` writes down how wrong the combination was: the history table.
3. :func:`score` gives each case a predictive distribution whose error model was learned from
   *other* sources only, and scores it against what came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from leadsman.engine import Progress
from leadsman.laws.backtest.measure import BASELINES, Measured, measure_all
from leadsman.laws.backtest.scores import point_scores
from leadsman.laws.backtest.tables import load_cases
from leadsman.laws.base import Floats
from leadsman.laws.calibration import ErrorModel, Parts, learn, past_errors
from leadsman.laws.calibration.history import COMBINED, bundled_history
from leadsman.laws.forecasting import (
    combine,
    describe_weights,
    own_errors,
    predict_series,
    weigh,
)

DRAWS = 2000
HELD_OUT = -1
"""Value of ``origin`` in the history for runs that were held out."""

METHODS = ("leadsman", *BASELINES)

CLASSICAL = "d0.001 g0"
"""Way of fitting of the single laws kept in the history: narrow Huber loss, equal weights."""


def history_of(measured: Sequence[Measured]) -> pl.DataFrame:
    """The history table of measured cases; see :mod:`leadsman.laws.calibration.history`."""
    frames = []
    for each in measured:
        case = each.case
        own, weights = own_errors(each.series), weigh(each.series)
        for g, series in enumerate(each.series):
            where: dict[str, object] = {"source": case.source, "dataset": case.dataset}
            where |= {"case": case.name, "group": g}
            for k, origin in enumerate(own[g]):
                at = where | {"origin": k, "share": origin.share, "law": COMBINED}
                frames.append(_rows(at, origin.errors, origin.parts))
            final = series.evidence.final
            log_truth = np.log(each.truth[series.rows])
            centre, parts = combine(final, weights)
            at = where | {"origin": HELD_OUT, "share": 1.0}
            frames.append(_rows(at | {"law": COMBINED}, log_truth - centre, parts))
            for m, name in enumerate(series.evidence.names):
                classical = name.endswith(CLASSICAL) and "/shared" not in name
                if classical and np.isfinite(final.log_pred[m]).all():
                    errors = log_truth - final.log_pred[m]
                    frames.append(_rows(at | {"law": name}, errors, final.distance))
    numbers = ["share", "error", *Parts.__dataclass_fields__]
    return pl.concat(frames, how="diagonal").with_columns(
        pl.col(numbers).cast(pl.Float32), pl.col("group", "origin").cast(pl.Int16)
    )


def learn_from(history: pl.DataFrame, sources: Iterable[str] | None = None) -> ErrorModel:
    """Error model from the combination's rows of a history, of some sources only."""
    rows = history.filter(pl.col("law") == COMBINED)
    if sources is not None:
        rows = rows.filter(pl.col("source").is_in(list(sources)))
    return learn(past_errors(rows))


def score(
    measured: Sequence[Measured], history: pl.DataFrame, *, learn_on: Iterable[str] | None = None
) -> pl.DataFrame:
    """Scores of every held-out point and method, the error model leaving the case's source out.

    Args:
        measured: cases to score.
        history: what the error model learns from.
        learn_on: sources it may learn from; all in the history by default.

    Returns:
        Columns source, dataset, case, method, law, distance, truth, error, in50, in80, in95,
        winkler.
    """
    models: dict[tuple[str, ...], ErrorModel] = {}
    known = sorted(set(history["source"]) if learn_on is None else set(learn_on))
    frames = []
    for each in measured:
        case = each.case
        others = tuple(source for source in known if source != case.source)
        if others not in models:
            models[others] = learn_from(history, others)
        model, weights = models[others], weigh(each.series)
        draws = predict_series(each.series, weights, model, draws=DRAWS, seed=0)
        centre = np.median(draws, axis=0)
        scores = {"leadsman": point_scores(draws, centre, each.truth), **each.baseline}
        distance = np.empty(len(each.truth))
        for series in each.series:
            distance[series.rows] = series.evidence.final.distance
        label = describe_weights(each.series[0].evidence.names, weights)
        for method, values in scores.items():
            frames.append(
                pl.DataFrame(values).with_columns(
                    **_literals(
                        {
                            "source": case.source,
                            "dataset": case.dataset,
                            "case": case.name,
                            "method": method,
                            "law": label,
                        }
                    ),
                    distance=pl.Series(distance),
                    truth=pl.Series(each.truth),
                )
            )
    return pl.concat(frames)


def best_single(history: pl.DataFrame) -> pl.DataFrame:
    """For each data set, the single law, classically fitted, that hindsight would have chosen.

    Columns: dataset, law, mape (share).
    """
    held = history.filter((pl.col("origin") == HELD_OUT) & (pl.col("law") != COMBINED))
    sizes = held.group_by("dataset", "law").agg(
        mape=((-pl.col("error")).exp() - 1).abs().mean(), rows=pl.len()
    )
    full = sizes.filter(pl.col("rows") == pl.col("rows").max().over("dataset"))
    return full.sort("mape").group_by("dataset", maintain_order=True).first().drop("rows")


def _rows(where: dict[str, object], errors: Floats, parts: Parts | Floats) -> pl.DataFrame:
    """Rows of the history; with the distance alone for a single law."""
    known = {"distance": parts} if isinstance(parts, np.ndarray) else vars(parts)
    return pl.DataFrame({"error": errors, **known}).with_columns(**_literals(where))


def _literals(values: dict[str, object]) -> dict[str, pl.Expr]:
    return {name: pl.lit(value) for name, value in values.items()}


@dataclass(frozen=True)
class SuiteResult:
    """A finished back-test.

    Attributes:
        points: one row a held-out point and method; see :func:`score`.
        hindsight: best single law of each data set; see :func:`best_single`.
        sizes: cases, groups, runs seen of each data set.
        left_out: why a case could not be forecast, by name.
    """

    points: pl.DataFrame
    hindsight: pl.DataFrame
    sizes: pl.DataFrame
    left_out: dict[str, str]


def assemble(
    measured: Sequence[Measured],
    left_out: dict[str, str],
    history: pl.DataFrame,
    *,
    learn_on: Iterable[str] | None = None,
) -> SuiteResult:
    """Score measured cases against a history (which may hold more than these cases)."""
    sizes = pl.DataFrame(
        {
            "dataset": [each.case.dataset for each in measured],
            "groups": [len(each.series) for each in measured],
            "seen": [each.fit_rows for each in measured],
        }
    )
    sizes = sizes.group_by("dataset", maintain_order=True).agg(
        pl.len().alias("cases"), pl.col("groups").sum(), pl.col("seen").sum()
    )
    own = history_of(measured)
    points = score(measured, history, learn_on=learn_on)
    return SuiteResult(points, best_single(own), sizes, left_out)


def run_suite(
    root: str | Path,
    *,
    only: str | None = None,
    workers: int = 0,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> SuiteResult:
    """Load, measure and score the data sets under ``root``.

    The whole suite learns from its own measurements, leaving one source out each time; a single
    data set (``only``) is scored with the bundled history of the other sources.

    Raises:
        InputError: no data set is there, or ``only`` names none.
    """
    measured, left_out = measure_all(
        load_cases(root, only=only), workers=workers, keep=keep, progress=progress
    )
    history = bundled_history() if only else history_of(measured)
    return assemble(measured, left_out, history)
