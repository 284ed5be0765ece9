"""Forecasts from a table of runs: laws compete, are combined, and get intervals that hold.

:func:`forecast_runs` is the whole path: candidates are fitted at rolling origins of the user's own
runs (:mod:`leadsman.laws.competition`), weighted by how they did, and the combination gets a
predictive distribution of four parts: parameters, run-to-run noise, disagreement between laws and
extrapolation error learned from history (:mod:`leadsman.laws.calibration`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.engine import Progress
from leadsman.errors import DesignError, InputError
from leadsman.laws.base import Floats
from leadsman.laws.calibration import ErrorModel, Origin, Parts, bundled_model
from leadsman.laws.competition import (
    CHECKPOINT_ROWS,
    INPUTS,
    Block,
    compute_of,
    law_weights,
    relative_errors,
    run_column,
    tied,
)
from leadsman.laws.forecast import Forecast
from leadsman.laws.mixtures import (
    differ_in_mixture_alone,
    forecast_mixtures,
    mixture_warnings,
    mixtures_of_both,
)
from leadsman.laws.perplexity import is_perplexity
from leadsman.laws.points import comparable
from leadsman.laws.score_results import ScoreTest, recognise, without_sampling
from leadsman.laws.screening import (
    checkpoint_warnings,
    complete,
    constant_input_warnings,
    fewer_rows,
    in_unit_of,
    ratio_warnings,
    screen,
    small_point_warnings,
    unit_warnings,
)
from leadsman.laws.series import Series, gather_series
from leadsman.laws.sizes import active_sizes
from leadsman.laws.table import column, mixtures_vary, no_column
from leadsman.laws.unmodelled import unmodelled_warnings

PROGRESS_INPUTS = ("flops", "step")
"""Inputs that only tell how far a run went: another value is what a forecast is of."""


def forecast_runs(
    runs: pl.DataFrame,
    points: pl.DataFrame,
    *,
    y: str = "loss",
    x: Sequence[str] | None = None,
    law: str | Sequence[str] = "auto",
    group: str | None = None,
    run: str | None = None,
    score: ScoreTest | bool | None = None,
    draws: int = 1000,
    seed: int = 0,
    error_model: ErrorModel | None = None,
    progress: Progress | None = None,
    skip: bool = False,
) -> Forecast:
    """Forecast results at settings not yet run.

    Args:
        runs: finished runs, one a row; columns as in :mod:`leadsman.laws.table`.
        points: settings asked about, n rows, with the same inputs (and group).
        y: column to predict.
        x: inputs laws may read; by default every known column that varies.
        law: ``auto``, or names of laws to compete.
        group: column that splits the runs into series with parameters of their own (mixtures,
            data sets); competition and calibration are shared between them, and fits whose
            exponents are shared by all groups compete with separate ones.
        run: column that names the run of each row, where rows are checkpoints; ``run``, ``run_id``
            and ``id`` are recognised. The last row of a run is taken for its end, and forecasts are
            of finished runs: under a decaying learning rate a checkpoint is none, so fits with and
            without checkpoints compete (:mod:`leadsman.laws.competition.run_table`).
        score: whether ``y`` is a score in [0, 1] (or in per cent) that rises, and how it was
            measured; by default results there that rise with compute are taken for scores, with a
            warning.
        draws: draws from the predictive distribution.
        seed: of the draws.
        error_model: constants of the extrapolation error; the bundled ones by default.
        progress: called with groups done and groups in all.
        skip: whether points of a group that cannot carry a law are answered by ``nan`` and a
            warning that says why, where other groups can; else such a group is an error.

    Returns:
        Draws are in the unit of ``y``; a perplexity is forecast through its logarithm. They keep
        the dependence between points of a group: their errors are mostly shared.

    Raises:
        InputError: a column is missing or a cell cannot be; a group of ``points`` has no runs.
        DesignError: no law can be fitted on these runs; names a run that would cure it.
    """
    if points.is_empty():
        raise InputError("no points to forecast")
    for frame in (runs, points) if group is not None else ():
        if group not in frame.columns:
            raise InputError(f"{no_column(str(group), frame)} to group by", column=group)
    asked = points
    runs, points, x = active_sizes(runs, points, x)
    inputs = [name for name in x or INPUTS if name in runs.columns]
    runs, shown = complete(runs, y=y, x=x, group=group)
    runs, points, unmixed = mixtures_of_both(runs, points, group=group)
    shown += unmixed
    if group is None and differ_in_mixture_alone(runs, x):
        found = _of_mixtures_alone(runs, points, shown, y=y, law=law, draws=draws, seed=seed)
        return replace(found, points=asked)
    points = in_unit_of(runs, points)
    perplexity = is_perplexity(runs, y)
    if perplexity:
        runs = runs.with_columns(pl.Series(y, np.log(column(runs, y))))
    runs, points, test, on_scores = _read_scores(runs, points, y, x, score)
    run = run_column(runs, run)
    run = None if run == group else run  # a group of one run is its curve
    runs = runs if run else comparable(runs, points, x)
    runs, on_runs = _screen(runs, y, x, group, run)
    shown += (*on_scores, *on_runs)
    unlike = _point_warnings(runs, points, inputs, law)
    refused: dict[object, str] = {}
    series = gather_series(
        runs,
        points,
        y=y,
        x=x,
        law=law,
        group=group,
        run=run,
        seed=seed,
        progress=progress,
        refused=refused if skip else None,
    )
    series, kept = _in_order(series)
    if test is not None:
        variance = test.sampling_variance(runs, y)
        series = [
            replace(each, evidence=without_sampling(each.evidence, variance)) for each in series
        ]
    weights = weigh(series)
    shown += (*_unused(series, x), *checkpoint_weight_warning(series[0].evidence.names, weights))
    values = predict_series(series, weights, error_model or bundled_model(), draws=draws, seed=seed)
    if test is not None:
        values = test.scores(values, points[kept.tolist()], seed=seed)
    if perplexity:
        values = np.exp(values)
    everywhere = np.full((draws, len(points)), np.nan)
    everywhere[:, kept] = values
    warnings = [()] * len(points) if group is None else _refusals(points[group].to_list(), refused)
    for each in series:
        for row, sentences in zip(kept[each.rows], _warnings(each, weights), strict=True):
            warnings[row] = (*shown, *unlike[row], *sentences)
    label = describe_weights(series[0].evidence.names, weights)
    return Forecast(points=asked, draws=everywhere, y=y, law=label, warnings=tuple(warnings))


def _of_mixtures_alone(
    runs: pl.DataFrame, points: pl.DataFrame, said: tuple[str, ...], **options: Any
) -> Forecast:
    """Runs of one size and length on other mixtures: nothing is extrapolated."""
    y = options["y"]
    runs, warned = screen(runs, y=y, x=[])
    found = forecast_mixtures(runs, points, **options)
    sized = [name for name in INPUTS if name in runs.columns and name in points.columns]
    sized = [name for name in sized if not runs[name].null_count() and name not in PROGRESS_INPUTS]
    each = [
        constant_input_warnings(
            runs, points, [name for name in sized if name not in PROGRESS_INPUTS]
        ),
        mixture_warnings(runs, points),
    ]
    warnings = tuple((*said, *warned, *itertools.chain(*row)) for row in zip(*each, strict=True))
    return replace(found, warnings=warnings)


def _in_order(series: Sequence[Series]) -> tuple[list[Series], npt.NDArray[np.int64]]:
    """Series with rows counted among the points that are answered, and which points these are."""
    kept = np.sort(np.concatenate([each.rows for each in series]))
    return [replace(each, rows=np.searchsorted(kept, each.rows)) for each in series], kept


def _refusals(groups: Sequence[object], refused: Mapping[object, str]) -> list[tuple[str, ...]]:
    """For each point, why its group has no forecast; empty where it has one."""
    return [(f"no forecast: {refused[each]}",) if each in refused else () for each in groups]


def predict_series(
    series: Sequence[Series], weights: Floats, model: ErrorModel, *, draws: int, seed: int
) -> Floats:
    """Draws from the predictive distribution at all points, shape (draws, n).

    Points of one group share the error of form (parameters, laws, extrapolation) in each draw and
    groups share half of its variance; the noise of single runs is independent.
    """
    values = np.empty((draws, sum(len(each.rows) for each in series)))
    rng = np.random.default_rng([seed, 2])
    shared = rng.standard_normal(draws)
    own = model.own(own_errors(series))
    for each in series:
        common = (shared + rng.standard_normal(draws)) / np.sqrt(2)
        tails = np.sqrt(model.dof / rng.chisquare(model.dof, draws))
        centre, parts = combine(each.evidence.final, weights)
        scale = model.scale(parts)
        noise = np.minimum(parts.noise, scale)
        form = np.sqrt(scale**2 - noise**2)
        scatter = rng.standard_normal((draws, len(centre)))
        error = tails[:, None] * (common[:, None] * form + scatter * noise)
        values[:, each.rows] = np.exp(centre + model.centre(parts, own) + error)
    return values


def combine(block: Block, weights: Floats) -> tuple[Floats, Parts]:
    """Weighted log prediction of the candidates at each point, shape (n,), and its error parts."""
    known = np.asarray(np.isfinite(block.log_pred).all(axis=1))
    share = weights[known] if (weights[known] > 0).any() else np.ones(known.sum())
    share = share / share.sum()
    centre = share @ block.log_pred[known]
    n = len(centre)
    return centre, Parts(
        noise=np.full(n, share @ block.noise[known]),
        residual=np.full(n, share @ block.residual[known]),
        spread=share @ block.spread[known],
        disagreement=np.sqrt(share @ (block.log_pred[known] - centre) ** 2),
        change=share @ block.change[known],
        distance=block.distance,
    )


def own_errors(series: Sequence[Series]) -> list[list[Origin]]:
    """Errors of the combination at the rolling origins of each group.

    An origin is forecast with weights from the smaller origins of its group and all origins of
    other groups: weights chosen on the errors they are judged by would flatter them.
    """
    prior, errors = _prior(series), _relative_errors(series)
    everything = np.sum([np.zeros(len(prior)), *(row for rows in errors for row in rows)], axis=0)
    found = []
    for each, rows in zip(series, errors, strict=True):
        origins = []
        for k, block in enumerate(each.evidence.origins):
            later = np.sum(rows[k:], axis=0)
            centre, parts = combine(block, law_weights([everything - later], prior))
            share = block.train / len(each.runs)
            origins.append(Origin(block.log_y - centre, parts, share))
        found.append(origins)
    return found


def weigh(series: Sequence[Series]) -> Floats:
    """Weights of the candidates from the rolling origins of all groups, shape (m,)."""
    errors = [row for rows in _relative_errors(series) for row in rows]
    return law_weights(errors, _prior(series))


def _relative_errors(series: Sequence[Series]) -> list[list[Floats]]:
    """Errors of the candidates at each origin of each group, relative to the median candidate's."""
    reach = float(np.median(np.concatenate([each.evidence.final.distance for each in series])))
    return [[relative_errors(block, reach) for block in each.evidence.origins] for each in series]


def _prior(series: Sequence[Series]) -> Floats:
    """The same for every candidate that can be fitted somewhere, next to nothing for others."""
    known = np.array([np.isfinite(each.evidence.final.log_pred).all(axis=1) for each in series])
    feasible = known.any(axis=0)
    if not feasible.any():
        raise DesignError("no law can be fitted on these runs")
    return np.asarray(np.where(feasible, 1.0, 1e-300) / feasible.sum())


def describe_weights(names: Sequence[str], weights: Floats) -> str:
    """``chinchilla 0.70, power[flops] 0.30``: laws with their weights, ways of fitting summed."""
    totals: dict[str, float] = {}
    for name, weight in zip(names, weights, strict=True):
        totals[name.split(" ")[0]] = totals.get(name.split(" ")[0], 0.0) + float(weight)
    kept = sorted(((v, k) for k, v in totals.items() if v >= 0.05), reverse=True)
    if len(kept) == 1:
        return kept[0][1]
    return ", ".join(f"{name} {value:.2f}" for value, name in kept)


def checkpoint_weight_warning(names: Sequence[str], weights: Floats) -> tuple[str, ...]:
    """A sentence on how much fits with checkpoints count, where there are checkpoints."""
    used = np.array([name.endswith(CHECKPOINT_ROWS) for name in names])
    if not used.any():
        return ()
    return (
        f"Some rows are checkpoints; fits that use them have {weights[used].sum():.0%} of the "
        f"weight. A checkpoint under a decaying learning rate is not a finished run.",
    )


def _read_scores(
    runs: pl.DataFrame,
    points: pl.DataFrame,
    y: str,
    x: Sequence[str] | None,
    score: ScoreTest | bool | None,
) -> tuple[pl.DataFrame, pl.DataFrame, ScoreTest | None, tuple[str, ...]]:
    """Runs with error rates where results are scores, points with what their test needs."""
    test = score if isinstance(score, ScoreTest) else ScoreTest() if score else None
    warnings: tuple[str, ...] = ()
    if score is None and y in runs.columns:
        test, warnings = recognise(runs, y, x)
    if test is None:
        return runs, points, None, warnings
    test, points = test.measured_on(runs, points, y)
    runs, left_out = test.error_rates(runs, y)
    return runs, points, test, (*warnings, *left_out)


def _screen(
    runs: pl.DataFrame, y: str, x: Sequence[str] | None, group: str | None, run: str | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Runs that laws are fitted on, and sentences about what looks wrong or was left out."""
    inputs = [name for name in x or INPUTS if name in runs.columns]
    runs, warnings = screen(runs, y=y, x=[name for name in inputs if not runs[name].null_count()])
    read = [*inputs, *(name for name in (group, run) if name)]
    warnings += unmodelled_warnings(runs, y=y, x=read)
    if run is None:
        warnings += checkpoint_warnings(runs)
    runs, thinned = fewer_rows(runs, compute_of(runs, x), group=group, run=run)
    return runs, (*warnings, *thinned)


def _point_warnings(
    runs: pl.DataFrame, points: pl.DataFrame, inputs: Sequence[str], law: str | Sequence[str]
) -> list[tuple[str, ...]]:
    """Sentences for each point: another unit, a value no run has."""
    both = [name for name in inputs if name in points.columns and not points[name].null_count()]
    found = [
        unit_warnings(runs, points, both),
        constant_input_warnings(
            runs, points, [name for name in both if name not in PROGRESS_INPUTS]
        ),
    ]
    if mixtures_vary(runs):
        found.append(mixture_warnings(runs, points))
    sized = {"params", "tokens"} <= set(both)
    if sized or "flops" in both:
        found.append(small_point_warnings(compute_of(runs), compute_of(points)))
    if law == "auto" and sized and tied(runs):
        found.append(ratio_warnings(runs, points))
    return [tuple(itertools.chain(*each)) for each in zip(*found, strict=True)]


def _unused(series: Sequence[Series], x: Sequence[str] | None) -> tuple[str, ...]:
    """A sentence on inputs the user named and no competing law reads."""
    laws = [law for each in series for law in each.evidence.fitted if law is not None]
    read = {name for each in series for law in laws for name in law.law.reads(each.runs)}
    unused = set(x or ()) - read - set(PROGRESS_INPUTS)
    if not unused or not laws:
        return ()
    return (f"no law that competes reads {' or '.join(sorted(unused))}: no part in the forecast.",)


def _warnings(series: Series, weights: Floats) -> list[tuple[str, ...]]:
    """Sentences for each point: weak exponents, few runs, reach."""
    evidence = series.evidence
    shared: list[str] = []
    best = int(np.argmax(np.where([law is not None for law in evidence.fitted], weights, -1)))
    fitted = evidence.fitted[best]
    shared += list(fitted.warnings) if fitted is not None else []
    if not evidence.origins:
        shared.append("Too few runs for a rolling origin: the interval rests on history alone.")
    sentences = []
    for distance in evidence.final.distance:
        mine = list(shared)
        if distance > np.log(100):
            mine.append(f"{np.exp(distance):.3g}x the compute of the largest run fitted on.")
        sentences.append(tuple(mine))
    return sentences
