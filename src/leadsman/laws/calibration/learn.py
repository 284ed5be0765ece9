"""Learns the constants of the error model from the history of back-test errors.

The history holds our own measured errors, one row a forecast point: at the rolling origins
(``origin`` 0, 1, ...) and at the runs held out (``origin`` -1), with the parts that were known
beforehand. Constants maximise the Student t likelihood of the held-out errors, every data set
weighing the same and every case within it the same, with weak priors. Level and degrees of freedom
are then set on errors predicted *without* their own source (conformal, at 50 % and 95 %): constants
fitted to a history look better on it than they will on the next table.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import brentq, minimize
from scipy.stats import t as student

from leadsman.laws.base import Floats
from leadsman.laws.calibration.error_model import (
    ErrorModel,
    Origin,
    Parts,
    own_rates,
)

PRIORS = {
    "level": (0.0, 1.0),
    "own": (0.6, 0.3),
    "parts": (0.3, 0.3),
    "growth": (0.7, 0.4),
    "single": (0.0, 0.4),
    "drift": (0.0, 0.003),
    "own_drift": (0.0, 0.3),
    "log_dof": (1.4, 0.5),
}
"""Mean and standard deviation of each constant before any history."""

PRIOR_SHARE = 0.5
"""How much the priors weigh, in data sets."""

FEWEST_DOF, MOST_DOF = 2.5, 30.0


@dataclass(frozen=True)
class Past:
    """Held-out errors of the history as flat arrays, each of shape (n,).

    Attributes:
        source: whose runs.
        error: log of result over forecast.
        known, distance: log V and log distance.
        rate, signed: log R (``nan`` without origins) and S.
        single: 1 where one input alone varied, else 0.
        weight: sums to the number of data sets.
    """

    source: np.ndarray[Any, Any]
    error: Floats
    known: Floats
    distance: Floats
    rate: Floats
    signed: Floats
    single: Floats
    weight: Floats

    def take(self, rows: np.ndarray[Any, Any]) -> Past:
        """Some rows."""
        return Past(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def past_errors(history: pl.DataFrame) -> Past:
    """The history's combined rows as arrays.

    Args:
        history: columns source, dataset, case, group, single, origin, share, noise, spread,
            disagreement, distance, error.
    """
    columns: dict[str, list[np.ndarray[Any, Any]]] = {
        name: [] for name in Past.__dataclass_fields__
    }
    cases = history.select("dataset", "case").unique().group_by("dataset").len()
    count = dict(cases.iter_rows())
    for part in history.partition_by("dataset", "case", maintain_order=True):
        groups = part.partition_by("group", maintain_order=True)
        rates = own_rates([_origins(group) for group in groups])
        held_rows = int((part["origin"] < 0).sum())
        for group, own in zip(groups, rates, strict=True):
            held = group.filter(pl.col("origin") < 0)
            parts = Parts(
                *(held[name].to_numpy().astype(np.float64) for name in Parts.__dataclass_fields__)
            )
            n = len(held)
            columns["source"].append(np.full(n, part["source"][0]))
            columns["error"].append(held["error"].to_numpy().astype(np.float64))
            columns["known"].append(np.log(parts.known()))
            columns["distance"].append(parts.distance)
            columns["rate"].append(np.full(n, own.log_rate))
            columns["signed"].append(np.full(n, own.signed))
            columns["single"].append(np.full(n, float(group["single"][0])))
            columns["weight"].append(np.full(n, 1 / held_rows / count[part["dataset"][0]]))
    flat = {name: np.concatenate(values) for name, values in columns.items()}
    return Past(**flat)


def learn(past: Past) -> ErrorModel:
    """The constants, level and tails set on errors predicted without their own source."""
    model = _most_likely(past, None)
    z = np.empty(len(past.error))
    for source in dict.fromkeys(past.source):
        rows = past.source == source
        z[rows] = _standardised(_most_likely(past.take(~rows), model), past.take(rows))
    middle, outer = (_quantile(np.abs(z), past.weight, level) for level in (0.5, 0.95))
    dof = _dof_of(outer / middle)
    widen = middle / float(student.ppf(0.75, dof))
    return replace(model, level=model.level + float(np.log(widen)), dof=dof)


def constants(model: ErrorModel) -> dict[str, float]:
    """The constants, rounded to what the history can tell."""
    return {name: float(f"{value:.4g}") for name, value in asdict(model).items()}


def _origins(group: pl.DataFrame) -> list[Origin]:
    own = group.filter(pl.col("origin") >= 0)
    return [
        Origin(
            rows["error"].to_numpy().astype(np.float64),
            rows["distance"].to_numpy().astype(np.float64),
            float(rows["share"][0]),
        )
        for rows in own.partition_by("origin", maintain_order=True)
    ]


def _most_likely(past: Past, start: ErrorModel | None) -> ErrorModel:
    means, spreads = (np.array(column) for column in zip(*PRIORS.values(), strict=True))
    seen = np.isfinite(past.rate)
    usual = float(np.average((past.rate - past.known)[seen], weights=past.weight[seen]))
    first = np.zeros(len(PRIORS)) if start is None else _vector(start, means, spreads)

    def cost(vector: Floats) -> float:
        model = _model(means + spreads * vector, usual)
        width = _log_scale(model, past)
        off = past.error - (model.drift + model.own_drift * past.signed) * (1 + past.distance)
        density = student.logpdf(off * np.exp(-width), model.dof) - width
        return float(-past.weight @ density + PRIOR_SHARE * 0.5 * vector @ vector)

    found = minimize(cost, first, method="BFGS", options={"gtol": 1e-2, "maxiter": 60})
    return _model(means + spreads * found.x, usual)


def _log_scale(model: ErrorModel, past: Past) -> Floats:
    rate = np.where(np.isfinite(past.rate), past.rate, past.known + model.usual)
    return np.asarray(
        model.level
        + model.own * rate
        + model.parts * past.known
        + model.growth * np.log1p(past.distance)
        + model.single * past.single
    )


def _standardised(model: ErrorModel, past: Past) -> Floats:
    off = past.error - (model.drift + model.own_drift * past.signed) * (1 + past.distance)
    return np.asarray(off * np.exp(-_log_scale(model, past)))


def _model(values: Floats, usual: float) -> ErrorModel:
    named = dict(zip(PRIORS, (float(each) for each in values), strict=True))
    dof = float(np.clip(np.exp(named.pop("log_dof")), 1.5, MOST_DOF))
    return ErrorModel(**named, dof=dof, usual=usual)


def _vector(model: ErrorModel, means: Floats, spreads: Floats) -> Floats:
    values = [*list(asdict(model).values())[:7], np.log(model.dof)]
    return np.asarray((np.array(values) - means) / spreads)


def _quantile(values: Floats, weights: Floats, level: float) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(share, level)])


def _dof_of(ratio: float) -> float:
    """Degrees of freedom at which |t|'s 95 % quantile is ``ratio`` times its median."""

    def excess(dof: float) -> float:
        return float(student.ppf(0.975, dof) / student.ppf(0.75, dof)) - ratio

    if excess(FEWEST_DOF) <= 0:
        return FEWEST_DOF
    if excess(MOST_DOF) >= 0:
        return MOST_DOF
    return float(brentq(excess, FEWEST_DOF, MOST_DOF))
