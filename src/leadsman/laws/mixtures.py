"""Tables of runs on several mixtures: which are read, and forecasts where all else is one.

Runs of one size on other mixtures leave nothing to extrapolate: laws that read mixtures are
cross-validated, weigh by their errors as laws do at rolling origins, and what is left of the
error is the scatter of a forecast:

    log y = log curve + s * t        curve: a draw of a law drawn by its weight
                                     s: root mean square log error, cross-validated
                                     t: Student's, one degree of freedom fewer than runs
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError, LeadsmanError
from leadsman.laws.base import Law
from leadsman.laws.competition import INPUTS, law_weights
from leadsman.laws.fitting.identify import FLAT
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column, mixture_columns, mixtures_vary
from leadsman.registry import method

LAWS = ("exponential-mixing", "regmix")
"""Laws that compete where nothing but the mixture differs."""

FOLDS = 5
FURTHER = 0.05
"""Share beyond the runs' from which a point is said to lie outside."""

WHOLE = 0.02
"""How far from one shares may add up, since tables round them."""

FEWEST = 6
"""Runs from which laws of mixtures are cross-validated."""


def mixtures_of_both(
    runs: pl.DataFrame, points: pl.DataFrame, *, group: str | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Both tables with their shares if laws can read them, and a sentence if they cannot.

    An empty share is none where the others of its row add up to one. Shares that are the same
    throughout each group tell nothing.

    Raises:
        InputError: the runs differ in their mixture alone and the points have none.
    """
    names = mixture_columns(runs)
    if not names:
        return runs, points, ()
    runs, points = _filled(runs), _filled(points)
    empty = [name for name in names if runs[name].null_count()]
    missing = [name for name in names if name not in points.columns]
    varied = any(map(mixtures_vary, [runs] if group is None else runs.partition_by(group)))
    if varied and not missing:
        return runs, points, ()
    said: tuple[str, ...] = ()
    if varied and differ_in_mixture_alone(runs, None):
        raise InputError(
            f"the points have no {', '.join(missing[:5])}, and the runs differ in nothing else"
        )
    if varied:
        said = (
            f"runs differ in their mixtures and the points have no {', '.join(missing[:5])}: the "
            f"forecast is of mixtures like those of the runs.",
        )
    elif empty and group is None:
        said = (f"{', '.join(empty[:5])} is empty in some rows, so mixtures are not read.",)
    return runs.drop(names), points, said


def _filled(frame: pl.DataFrame) -> pl.DataFrame:
    """Empty shares as zero, where the others of the row add up to one."""
    names = mixture_columns(frame)
    if not names or not all(frame[name].dtype.is_numeric() for name in names):
        return frame
    whole = (pl.sum_horizontal(names) - 1).abs() <= WHOLE
    return frame.with_columns(
        pl.when(pl.col(name).is_null() & whole).then(0.0).otherwise(name).alias(name)
        for name in names
    )


def differ_in_mixture_alone(runs: pl.DataFrame, x: Sequence[str] | None) -> bool:
    """Whether mixtures vary and no size, length or compute does."""
    if not mixtures_vary(runs):
        return False
    sizes = [name for name in x or INPUTS if name in runs.columns and name in INPUTS]
    return not any(
        np.ptp(np.log(column(runs, name))) >= FLAT for name in sizes if not runs[name].null_count()
    )


def mixture_warnings(runs: pl.DataFrame, points: pl.DataFrame) -> list[tuple[str, ...]]:
    """Sentences about points with more or less of a source than any run had."""
    warnings: list[list[str]] = [[] for _ in range(len(points))]
    for name in mixture_columns(runs):
        known, asked = (column(frame, name, positive=False) for frame in (runs, points))
        low, high = known.min(), known.max()
        for row in np.flatnonzero((asked < low - FURTHER) | (asked > high + FURTHER)):
            warnings[row].append(
                f"{name} is {asked[row]:.3g} here and {low:.3g} to {high:.3g} in the runs."
            )
    return [tuple(each) for each in warnings]


def forecast_mixtures(
    runs: pl.DataFrame,
    points: pl.DataFrame,
    *,
    y: str,
    law: str | Sequence[str],
    draws: int,
    seed: int,
) -> Forecast:
    """Forecast runs on other mixtures, all else as it was.

    Args:
        runs: finished runs with ``mix.SOURCE`` columns.
        points: mixtures asked about.
        y, law, draws, seed: as in :func:`leadsman.laws.forecast_runs`.

    Raises:
        DesignError: too few runs, or no law of mixtures can be fitted on them.
        InputError: a law that reads no mixtures.
    """
    if len(runs) < FEWEST:
        raise DesignError(
            f"{len(runs)} runs on other mixtures show no law; add {FEWEST - len(runs)} or more"
        )
    laws = [_law(name.strip()) for name in _names(law)]
    known = np.log(column(runs, y))
    folds = np.random.default_rng([seed, 5]).permutation(len(runs)) % FOLDS
    held, problem = np.full((len(laws), len(runs)), np.nan), ""
    for m, each in enumerate(laws):
        try:
            for fold in range(FOLDS):
                out = pl.Series(folds == fold)
                fitted = each.fit(runs.filter(~out), y=y, seed=seed)
                held[m, folds == fold] = np.log(fitted.curve(runs.filter(out)))
        except LeadsmanError as error:
            held[m], problem = np.nan, problem or str(error)
    able = np.flatnonzero(np.isfinite(held).all(axis=1))
    if not len(able):
        raise DesignError(problem)
    errors = held[able] - known
    said = [np.log(np.abs(errors[:, folds == fold]).mean(axis=1) + 1e-6) for fold in range(FOLDS)]
    weights = law_weights(said, np.ones(len(able)) / len(able))
    scatter = float(np.sqrt(np.mean((weights @ errors) ** 2)))
    rng = np.random.default_rng([seed, 6])
    picked = rng.choice(len(able), size=draws, p=weights)
    values = np.empty((draws, len(points)))
    for m, which in enumerate(able):
        mine = np.flatnonzero(picked == m)
        if len(mine):
            fitted = laws[which].fit(runs, y=y, seed=seed)
            values[mine] = np.log(fitted.curve_draws(points, draws=len(mine), seed=seed))
    values += scatter * rng.standard_t(len(runs) - 1, values.shape)
    label = ", ".join(
        f"{laws[which].name} {weights[m]:.2f}"
        for m, which in sorted(enumerate(able), key=lambda pair: -weights[pair[0]])
        if weights[m] >= 0.05
    )
    return Forecast(points=points, draws=np.exp(values), y=y, law=label)


def _names(law: str | Sequence[str]) -> Sequence[str]:
    if law == "auto":
        return LAWS
    return law.split(",") if isinstance(law, str) else law


def _law(name: str) -> Law:
    cls = method("law", name)
    assert issubclass(cls, Law)
    if tuple(getattr(cls, "inputs", ())) != ("mix.*",):
        raise InputError(
            f"{name} reads no mixtures, and these runs differ in nothing else; "
            f"{' and '.join(LAWS)} do"
        )
    return cls()
