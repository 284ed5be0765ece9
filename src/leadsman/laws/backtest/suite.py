"""The back-test: every case forecast from its small runs, by us and by the baselines.

1. :func:`measure` fits everything on the runs a forecast may see (slow; one process a case).
2. :func:`history_of` writes down how wrong the combination was: the history table.
3. :func:`score` gives each case a predictive distribution whose error model was learned from all
   *other* sources, and scores it against what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from leadsman.engine import LocalEngine, Progress
from leadsman.errors import DesignError, LeadsmanError
from leadsman.laws.backtest.baselines import chinchilla_baseline
from leadsman.laws.backtest.cases import Case
from leadsman.laws.backtest.scores import point_scores
from leadsman.laws.backtest.tables import load_cases
from leadsman.laws.base import Floats
from leadsman.laws.calibration import ErrorModel, Parts, learn, past_errors
from leadsman.laws.calibration.history import COMBINED, bundled_history
from leadsman.laws.competition import Evidence
from leadsman.laws.forecasting import (
    Series,
    combine,
    describe_weights,
    gather_series,
    own_errors,
    predict_series,
    weigh,
)

DRAWS = 2000
HELD_OUT = -1
"""Value of ``origin`` in the history for runs that were held out."""

METHODS = ("leadsman", "bootstrap", "bootstrap+noise")


@dataclass(frozen=True)
class Measured:
    """Everything about one case that does not depend on history.

    Attributes:
        case: the case.
        fit_rows, held_rows: runs seen and held out.
        series: evidence of each group.
        truth: held-out results in the order of the groups' rows, shape (n,).
        baseline: scores of the two baselines by method, each a dict of arrays (n,).
    """

    case: Case
    fit_rows: int
    held_rows: int
    series: tuple[Series, ...]
    truth: Floats
    baseline: dict[str, dict[str, Floats]]


def measure(case: Case) -> Measured | str:
    """Fit a case's candidates and baselines; a sentence if it cannot be forecast."""
    runs, held = case.split()
    if runs.is_empty() or held.is_empty():
        return "fewer than five runs below a tenth of the top compute"
    try:
        series = gather_series(
            runs, held.drop("loss"), y="loss", x=case.x, law="auto", group=case.group, seed=0
        )
    except LeadsmanError as error:
        return str(error)
    truth = held["loss"].to_numpy()
    baseline = _baselines(case, series, truth)
    lean = tuple(replace(s, evidence=_without_fits(s)) for s in series)
    return Measured(case, len(runs), len(held), lean, truth, baseline)


def measure_all(
    cases: Sequence[Case], *, workers: int = 0, progress: Progress | None = None
) -> tuple[list[Measured], dict[str, str]]:
    """Measure every case; returns those that could be, and why others could not, by name."""
    found: dict[int, Measured] = {}
    left_out = {}
    for done, (k, result) in enumerate(
        LocalEngine(workers).map(_measure_numbered, list(enumerate(cases)))
    ):
        if isinstance(result, str):
            left_out[f"{cases[k[0]].dataset}/{cases[k[0]].name}"] = result
        else:
            found[k[0]] = result
        if progress is not None:
            progress(done + 1, len(cases))
    return [found[k] for k in sorted(found)], left_out


def history_of(measured: Sequence[Measured]) -> pl.DataFrame:
    """The history table of measured cases; see :mod:`leadsman.laws.calibration.history`."""
    frames = []
    for each in measured:
        own, weights = own_errors(each.series), weigh(each.series)
        for g, series in enumerate(each.series):
            case = each.case
            where: dict[str, object] = {"source": case.source, "dataset": case.dataset}
            where["case"] = case.name
            where |= {"group": g, "single": series.single}
            for k, origin in enumerate(own[g]):
                at = where | {"origin": k, "share": origin.share, "law": COMBINED}
                frames.append(_rows(at, origin.errors, origin.distance))
            final = series.evidence.final
            log_truth = np.log(each.truth[series.rows])
            centre, parts = combine(final, weights)
            at = where | {"origin": HELD_OUT, "share": 1.0}
            frames.append(_rows(at | {"law": COMBINED}, log_truth - centre, final.distance, parts))
            for m, name in enumerate(series.evidence.names):
                if np.isfinite(final.log_pred[m]).all():
                    errors = log_truth - final.log_pred[m]
                    frames.append(_rows(at | {"law": name}, errors, final.distance))
    numbers = ["share", "noise", "spread", "disagreement", "distance", "error"]
    return pl.concat(frames).with_columns(
        pl.col(numbers).cast(pl.Float32), pl.col("group", "origin").cast(pl.Int16)
    )


def learn_from(history: pl.DataFrame, *, without: str | None = None) -> ErrorModel:
    """Error model from the combination's rows of a history, one source left out."""
    rows = history.filter(pl.col("law") == COMBINED)
    if without is not None:
        rows = rows.filter(pl.col("source") != without)
    return learn(past_errors(rows))


def score(measured: Sequence[Measured], history: pl.DataFrame) -> pl.DataFrame:
    """Scores of every held-out point and method, the error model leaving the case's source out.

    Columns: source, dataset, case, method, law, distance, truth, error, in50, in80, in95, winkler.
    """
    models: dict[str, ErrorModel] = {}
    frames = []
    for each in measured:
        case = each.case
        if case.source not in models:
            models[case.source] = learn_from(history, without=case.source)
        model, weights = models[case.source], weigh(each.series)
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

    Classical is the narrow Huber loss and equal weights. Columns: dataset, law, mape (share).
    """
    held = history.filter((pl.col("origin") == -1) & pl.col("law").str.ends_with("d0.001 g0"))
    sizes = held.group_by("dataset", "law").agg(
        mape=((-pl.col("error")).exp() - 1).abs().mean(), rows=pl.len()
    )
    full = sizes.filter(pl.col("rows") == pl.col("rows").max().over("dataset"))
    return full.sort("mape").group_by("dataset", maintain_order=True).first().drop("rows")


def _measure_numbered(item: tuple[int, Case]) -> Measured | str:
    return measure(item[1])


def _baselines(case: Case, series: Sequence[Series], truth: Floats) -> dict[str, dict[str, Floats]]:
    x = tuple(name for name in case.x if name != "unique_tokens")[:2]
    parts: dict[str, list[tuple[Series, dict[str, Floats]]]] = {name: [] for name in METHODS[1:]}
    for each in series:
        mine = truth[each.rows]
        try:
            base = chinchilla_baseline(each.runs, each.points, x)
        except DesignError:
            # As a practitioner would with too few runs: the last result, without an interval.
            last = float(each.runs["loss"].to_numpy()[-1])
            centre = np.full(len(mine), last)
            still = np.broadcast_to(centre, (2, len(mine)))
            for name in METHODS[1:]:
                parts[name].append((each, point_scores(still, centre, mine)))
            continue
        parts["bootstrap"].append((each, point_scores(base.bootstrap, base.centre, mine)))
        parts["bootstrap+noise"].append((each, point_scores(base.with_noise, base.centre, mine)))
    out: dict[str, dict[str, Floats]] = {}
    for method, found in parts.items():
        out[method] = {}
        for name in found[0][1]:
            values = np.empty(len(truth))
            for each, scores in found:
                values[each.rows] = scores[name]
            out[method][name] = values
    return out


def _without_fits(series: Series) -> Evidence:
    """Fitted laws hold whole problems and are not needed again."""
    return replace(series.evidence, fitted=(None,) * len(series.evidence.names))


def _rows(
    where: dict[str, object], errors: Floats, distance: Floats, parts: Parts | None = None
) -> pl.DataFrame:
    """Rows of the history; parts are known at the held-out points only."""
    names = ("noise", "spread", "disagreement")
    values = [None if parts is None else getattr(parts, name) for name in names]
    frame = pl.DataFrame({"distance": distance, "error": errors})
    known = [
        pl.lit(None, pl.Float64).alias(name) if value is None else pl.Series(name, value)
        for name, value in zip(names, values, strict=True)
    ]
    return frame.with_columns(*known, **_literals(where))


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
    measured: Sequence[Measured], left_out: dict[str, str], history: pl.DataFrame
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
    return SuiteResult(score(measured, history), best_single(own), sizes, left_out)


def run_suite(
    root: str | Path,
    *,
    only: str | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> SuiteResult:
    """Load, measure and score the data sets under ``root``.

    The whole suite learns from its own measurements, leaving one source out each time; a single
    data set (``only``) is scored with the bundled history of the other sources.

    Raises:
        InputError: no data set is there, or ``only`` names none.
    """
    measured, left_out = measure_all(
        load_cases(root, only=only), workers=workers, progress=progress
    )
    history = bundled_history() if only else history_of(measured)
    return assemble(measured, left_out, history)
