"""Forecasts from a table of runs: laws compete, are combined, and get intervals that hold.

:func:`forecast_runs` is the whole path: candidates are fitted at rolling origins of the user's own
runs (:mod:`leadsman.laws.competition`), weighted by how they did, and the combination gets a
predictive distribution of four parts: parameters, run-to-run noise, disagreement between laws and
extrapolation error learned from history (:mod:`leadsman.laws.calibration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError
from leadsman.laws.base import Floats
from leadsman.laws.calibration import ErrorModel, Parts
from leadsman.laws.competition import (
    Block,
    Candidate,
    Evidence,
    competing,
    compute_of,
    gather,
    law_weights,
)
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column


def forecast_runs(
    runs: pl.DataFrame,
    points: pl.DataFrame,
    *,
    y: str = "loss",
    x: Sequence[str] | None = None,
    law: str | Sequence[str] = "auto",
    group: str | None = None,
    draws: int = 1000,
    seed: int = 0,
    error_model: ErrorModel | None = None,
) -> Forecast:
    """Forecast results at settings not yet run.

    Args:
        runs: finished runs, one a row; columns as in :mod:`leadsman.laws.table`.
        points: settings asked about, n rows, with the same inputs (and group).
        y: column to predict.
        x: inputs laws may read; by default every known column that varies.
        law: ``auto``, or names of laws to compete.
        group: column that splits the runs into series with parameters of their own (mixtures,
            data sets); competition and calibration are shared between them.
        draws: draws from the predictive distribution.
        seed: of the draws.
        error_model: constants of the extrapolation error; the bundled ones by default.

    Returns:
        Draws keep the dependence between points of a group: their errors are mostly shared.

    Raises:
        InputError: a column is missing or a cell cannot be; a group of ``points`` has no runs.
        DesignError: no law can be fitted on these runs; names a run that would cure it.
    """
    series = _series(runs, points, y=y, x=x, law=law, group=group, seed=seed)
    model = error_model or ErrorModel()
    weights = _weights(series)
    own = [pair for each in series for pair in own_errors(each.evidence, weights)]
    values = np.empty((draws, len(points)))
    warnings: list[tuple[str, ...]] = [()] * len(points)
    rng = np.random.default_rng([seed, 2])
    shared = rng.standard_normal(draws)
    lam, dof = model.update(own)
    scales = lam * np.sqrt(dof / rng.chisquare(dof, draws))
    for each in series:
        common = (shared + rng.standard_normal(draws)) / np.sqrt(2)
        centre, parts = combine(each.evidence.final, weights)
        centre = centre + model.shift(own, parts.distance)
        noise = model.noise_part * parts.noise
        form = np.sqrt(np.maximum(model.variance(parts) - noise**2, 0.0))
        scatter = rng.standard_normal((draws, len(centre)))
        error = scales[:, None] * (common[:, None] * form + scatter * noise)
        values[:, each.rows] = np.exp(centre + error)
        for row, sentences in zip(each.rows, _warnings(each, weights), strict=True):
            warnings[row] = sentences
    names = series[0].evidence.names
    return Forecast(
        points=points, draws=values, y=y, law=_label(names, weights), warnings=tuple(warnings)
    )


@dataclass(frozen=True)
class _Series:
    """One group: its runs' inputs, where its points stand, and the evidence."""

    runs: pl.DataFrame
    points: pl.DataFrame
    rows: Floats
    evidence: Evidence


def combine(block: Block, weights: Floats) -> tuple[Floats, Parts]:
    """Weighted log prediction of the candidates at each point, shape (n,), and its error parts."""
    known = np.isfinite(block.log_pred).all(axis=1)
    if not (weights[known] > 0).any():
        share = known / known.sum()
    else:
        share = np.where(known, weights, 0.0)
        share = share / share.sum()
    log_pred = np.where(known[:, None], block.log_pred, 0.0)
    spread = np.where(known[:, None], block.spread, 0.0)
    centre = share @ log_pred
    disagreement = np.sqrt(share @ (log_pred - centre) ** 2)
    noise = float(share @ np.where(known, block.noise, 0.0))
    return centre, Parts(
        noise=np.full(len(centre), noise),
        spread=share @ spread,
        disagreement=disagreement,
        distance=block.distance,
    )


def own_errors(evidence: Evidence, weights: Floats) -> list[tuple[Parts, Floats]]:
    """Parts and log errors (result over forecast) of the combination at each rolling origin."""
    pairs = []
    for block in evidence.origins:
        centre, parts = combine(block, weights)
        pairs.append((parts, block.log_y - centre))
    return pairs


def _series(
    runs: pl.DataFrame,
    points: pl.DataFrame,
    *,
    y: str,
    x: Sequence[str] | None,
    law: str | Sequence[str],
    group: str | None,
    seed: int,
) -> list[_Series]:
    if points.is_empty():
        raise InputError("no points to forecast")
    if group is not None:
        for frame in (runs, points):
            if group not in frame.columns:
                raise InputError(f"no column {group!r} to group by", column=group)
    candidates = competing(runs, x=x, law=law)
    point_names = points[group].to_list() if group else [None] * len(points)
    found = []
    for name in dict.fromkeys(point_names):
        mine = runs if group is None else runs.filter(pl.col(group) == name)
        if mine.is_empty():
            raise InputError(f"no runs with {group} = {name!r}", column=group)
        rows = np.flatnonzero([each == name for each in point_names])
        asked = points[rows.tolist()]
        evidence = _evidence(candidates, mine, asked, x=x, y=y, seed=seed)
        found.append(_Series(mine, asked, rows, evidence))
    return found


def _evidence(
    candidates: Sequence[Candidate],
    runs: pl.DataFrame,
    points: pl.DataFrame,
    *,
    x: Sequence[str] | None,
    y: str,
    seed: int,
) -> Evidence:
    column(runs, y)
    return gather(
        candidates, runs, compute_of(runs, x), points, compute_of(points, x), y=y, seed=seed
    )


def _weights(series: Sequence[_Series]) -> Floats:
    count = len(series[0].evidence.names)
    feasible = np.any([[law is not None for law in s.evidence.fitted] for s in series], axis=0)
    if not feasible.any():
        raise DesignError("no law can be fitted on these runs")
    prior = np.where(feasible, 1.0, 1e-300) / count
    blocks = [block for each in series for block in each.evidence.origins]
    reach = np.concatenate([each.evidence.final.distance for each in series])
    return law_weights(blocks, prior, reach=reach)


def _label(names: Sequence[str], weights: Floats) -> str:
    """``chinchilla 0.70, power[flops] 0.30``: laws with their weights, ways of fitting summed."""
    totals: dict[str, float] = {}
    for name, weight in zip(names, weights, strict=True):
        totals[name.split(" ")[0]] = totals.get(name.split(" ")[0], 0.0) + float(weight)
    kept = sorted(((v, k) for k, v in totals.items() if v >= 0.05), reverse=True)
    if len(kept) == 1:
        return kept[0][1]
    return ", ".join(f"{name} {value:.2f}" for value, name in kept)


def _warnings(series: _Series, weights: Floats) -> list[tuple[str, ...]]:
    """Sentences for each point: weak exponents, reach, units, infeasible laws."""
    evidence = series.evidence
    shared: list[str] = []
    best = int(np.argmax(np.where([law is not None for law in evidence.fitted], weights, -1)))
    fitted = evidence.fitted[best]
    shared += list(fitted.warnings) if fitted is not None else []
    if not evidence.origins:
        shared.append("Too few runs for a rolling origin: the interval rests on history alone.")
    sentences = []
    for distance, row in zip(evidence.final.distance, series.points.iter_rows(named=True)):
        mine = list(shared)
        if distance > np.log(100):
            mine.append(f"{np.exp(distance):.3g}x the compute of the largest run fitted on.")
        for name in ("params", "tokens"):
            if name in row and name in series.runs.columns:
                ratio = row[name] / float(series.runs[name].max())  # type: ignore[arg-type]
                if ratio > 1e5 or ratio < 1e-5:
                    mine.append(f"{name} is {ratio:.1e} of the largest run's: check its unit.")
        sentences.append(tuple(mine))
    return sentences
