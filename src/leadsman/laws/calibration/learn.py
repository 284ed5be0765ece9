"""Learns the constants of the error model from the history of back-test errors.

The history holds our own measured errors, one row a forecast point: at the rolling origins
(``origin`` 0, 1, ...) and at the runs held out (``origin`` -1), with the parts that were known
beforehand. Constants maximise the Student t likelihood of the held-out errors, every data set
weighing the same and every case within it the same, with weak priors. Level and degrees of freedom
are then set on errors predicted *without* their own source (conformal, at seven levels): constants
fitted to a history look better on it than they will on the next table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import t as student

from leadsman.laws.base import Floats
from leadsman.laws.calibration.error_model import (
    FEW,
    LARGEST_Z,
    RECENCY,
    ErrorModel,
    Parts,
)

PRIORS = {
    "level": (-0.5, 0.5),
    "change_share": (-1.5, 0.5),
    "growth": (0.3, 0.3),
    "bias": (0.3, 0.2),
    "log_dof": (1.4, 0.4),
}
"""Mean and standard deviation of each constant before any history."""

PRIOR_SHARE = 0.5
"""How much the priors weigh, in data sets."""

FEWEST_DOF, MOST_DOF = 2.5, 30.0

LEVELS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Levels at which intervals are made to cover the history."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Errors of the history as flat arrays, each of shape (n,).

    Attributes:
        source: whose runs.
        table: number of the table (case) in the history.
        error: log of result over forecast.
        parts: what was known beforehand.
    """

    source: np.ndarray[Any, Any]
    table: Integers
    error: Floats
    parts: Parts

    def take(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """Some rows."""
        parts = Parts(*(getattr(self.parts, name)[mask] for name in Parts.__dataclass_fields__))
        return Rows(self.source[mask], self.table[mask], self.error[mask], parts)


@dataclass(frozen=True)
class Past:
    """The history as arrays.

    Attributes:
        held: errors at runs held out, n of them.
        weight: of each, shape (n,); sums to the number of data sets.
        own: errors at rolling origins.
        block: number of the origin that each own error belongs to.
        share: of the runs, by own error; the same within a block.
        group: number of the group of runs, by own error.
    """

    held: Rows
    weight: Floats
    own: Rows
    block: Integers
    share: Floats
    group: Integers

    @cached_property
    def blocks(self) -> tuple[Integers, Integers]:
        """First own error of each origin, and the origin of each own error (renumbered)."""
        _, first, place = np.unique(self.block, return_index=True, return_inverse=True)
        return first, place

    @cached_property
    def groups(self) -> tuple[Integers, Integers]:
        """First origin of each group, and the group of each origin (renumbered)."""
        first, _ = self.blocks
        _, head, member = np.unique(self.group[first], return_index=True, return_inverse=True)
        return head, member

    def where(self, source: object, *, other: bool) -> Past:
        """The errors of one source, or of all others."""
        held, own = ((rows.source == source) != other for rows in (self.held, self.own))
        return Past(
            self.held.take(held),
            self.weight[held],
            self.own.take(own),
            self.block[own],
            self.share[own],
            self.group[own],
        )


def past_errors(history: pl.DataFrame) -> Past:
    """The history's combined rows as arrays.

    Args:
        history: columns source, dataset, case, group, origin, share, the parts, error.
    """
    frame = history.with_columns(
        table=pl.struct("dataset", "case").rank("dense").cast(pl.Int64) - 1,
        series=pl.struct("dataset", "case", "group").rank("dense").cast(pl.Int64) - 1,
        block=pl.struct("dataset", "case", "group", "origin").rank("dense").cast(pl.Int64) - 1,
    )
    held, own = frame.filter(pl.col("origin") < 0), frame.filter(pl.col("origin") >= 0)
    weight = 1 / pl.len().over("table") / pl.col("table").n_unique().over("dataset")
    return Past(
        held=_rows(held),
        weight=held.select(weight).to_series().to_numpy(),
        own=_rows(own),
        block=own["block"].to_numpy(),
        share=own["share"].to_numpy().astype(np.float64),
        group=own["series"].to_numpy(),
    )


def learn(past: Past) -> ErrorModel:
    """The constants, level and tails set on errors predicted without their own source."""
    model = _most_likely(past, None)
    z = np.empty(len(past.weight))
    for source in dict.fromkeys(past.held.source):
        rest = _most_likely(past.where(source, other=True), model)
        z[past.held.source == source] = _standardised(rest, past.where(source, other=False))
    widen, dof = _student_through([_quantile(np.abs(z), past.weight, each) for each in LEVELS])
    return replace(model, level=model.level + widen, dof=dof)


def rounded_constants(model: ErrorModel) -> dict[str, float]:
    """The constants, rounded to what the history can tell."""
    return {name: float(f"{value:.4g}") for name, value in asdict(model).items()}


def _rows(frame: pl.DataFrame) -> Rows:
    parts = Parts(
        *(frame[name].to_numpy().astype(np.float64) for name in Parts.__dataclass_fields__)
    )
    error = frame["error"].to_numpy().astype(np.float64)
    return Rows(frame["source"].to_numpy(), frame["table"].to_numpy(), error, parts)


def _most_likely(past: Past, start: ErrorModel | None) -> ErrorModel:
    means, spreads = (np.array(column) for column in zip(*PRIORS.values(), strict=True))
    first = np.zeros(len(PRIORS)) if start is None else (_vector(start) - means) / spreads

    def cost(vector: Floats) -> float:
        model = _model(means + spreads * vector)
        z = _standardised(model, past)
        density = student.logpdf(z, model.dof) - np.log(model.scale(past.held.parts))
        return float(-past.weight @ density + PRIOR_SHARE * 0.5 * vector @ vector)

    found = minimize(cost, first, method="BFGS", options={"gtol": 1e-2, "maxiter": 60})
    return _model(means + spreads * found.x)


def _standardised(model: ErrorModel, past: Past) -> Floats:
    """Held-out errors about their expectation, in units of their scale."""
    own = own_by_table(model, past)[past.held.table]
    return np.asarray(past.held.error / model.scale(past.held.parts) - model.bias * own)


def own_by_table(model: ErrorModel, past: Past) -> Floats:
    """:meth:`ErrorModel.own` of every table at once, by its number."""
    tables = 1 + int(max(past.held.table.max(), past.own.table.max(initial=0)))
    if len(past.block) == 0:
        return np.zeros(tables)
    (first, place), (head, member) = past.blocks, past.groups
    z = np.clip(past.own.error / model.scale(past.own.parts), -LARGEST_Z, LARGEST_Z)
    mean = np.bincount(place, z) / np.bincount(place)
    weight = past.share[first] ** RECENCY
    by_group = np.bincount(member, weight * mean) / np.bincount(member, weight)
    table = past.own.table[first]
    count = np.bincount(table, minlength=tables)
    total = np.bincount(table[head], by_group, minlength=tables)
    among = np.maximum(np.bincount(table[head], minlength=tables), 1)
    return np.asarray(total / among * count / (count + FEW))


def _model(values: Floats) -> ErrorModel:
    named = dict(zip(PRIORS, (float(each) for each in values), strict=True))
    dof = float(np.clip(np.exp(named.pop("log_dof")), 1.5, MOST_DOF))
    return ErrorModel(**named, dof=dof)


def _vector(model: ErrorModel) -> Floats:
    return np.array([*list(asdict(model).values())[:-1], np.log(model.dof)])


def _quantile(values: Floats, weights: Floats, level: float) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(share, level)), len(order) - 1)])


def _student_through(sizes: Sequence[float]) -> tuple[float, float]:
    """Log scale and degrees of freedom of the t whose |t| has these quantiles at ``LEVELS``.

    Least squares on the logs: with two levels alone, one data set whose errors lie close together
    around a quantile would decide.
    """
    logs, tails = np.log(sizes), 0.5 + np.array(LEVELS) / 2

    def ratios(dof: float) -> Floats:
        return np.asarray(logs - np.log(student.ppf(tails, dof)))

    found = minimize_scalar(
        lambda log_dof: float(ratios(np.exp(log_dof)).var()),
        bounds=(np.log(FEWEST_DOF), np.log(MOST_DOF)),
        method="bounded",
    )
    dof = float(np.exp(found.x))
    return float(ratios(dof).mean()), dof
