"""Rolling origin: hide the dearest runs, fit every candidate on the rest, predict them.

The result is plain arrays: what each candidate predicted at each origin, how sure its parameters
were, and what came. Weights, calibration and the back-test all read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.competition.candidates import Candidate
from leadsman.laws.competition.run_table import SAME, RunTable
from leadsman.laws.competition.shared_fits import SharedFits
from leadsman.laws.table import MIXTURE, column

ORIGINS = 6
"""Cut-offs tried at most."""

FEWEST, AT_LEAST = 7, 5
"""Runs an origin must leave to fit on (two more than most laws have parameters), and where no
origin can leave so many."""

FEWEST_RUNS = 3
"""Runs an origin must leave where no origin leaves more, but other groups or checkpoints help."""

SPREAD_DRAWS = 40
"""Bootstrap draws behind the parameter spread at an origin."""

EDGE = 5
"""Runs at the edge at least: a fit may pass through two or three exactly."""

PARAMETERS = 5
"""Parameters of most laws: residuals of a fit are smaller than errors by sqrt(1 - p / n)."""

FAILED = 20.0
"""Noise levels off the curve from which a run has failed and how far off says nothing."""

LEAST_NOISE = 1e-3
"""Noise is not taken for smaller when runs are judged to have failed."""

LARGEST_SPREAD = 1.0
"""Cap on log spreads: beyond a factor e nothing is known anyway."""


@dataclass(frozen=True)
class Block:
    """What every candidate predicts from one set of training runs; ``nan`` where it cannot.

    Attributes:
        train: number of runs fitted on.
        log_pred: log of the predicted curve, shape (candidates, points).
        spread: standard deviation of the log curve from the parameters, same shape.
        noise: residual scatter of each candidate on its runs, shape (candidates,).
        residual: root mean square log residual of each candidate, large runs counting more, same
            shape; see :func:`_residual`.
        change: log of the predicted curve at each point over that at the nearest run, shape
            (candidates, points).
        distance: natural log of compute over the largest compute fitted on, at least 0, (points,).
        log_y: log of the results, ``nan`` where unknown, shape (points,).
    """

    train: int
    log_pred: Floats
    spread: Floats
    noise: Floats
    residual: Floats
    change: Floats
    distance: Floats
    log_y: Floats


@dataclass(frozen=True)
class Evidence:
    """One group's rolling origins and its final fit.

    Attributes:
        names: candidates.
        origins: earlier cut-offs, smallest first.
        final: the fit on all runs, at the points asked about.
        fitted: the final fits; ``None`` where a candidate could not be fitted.
        problems: why, by candidate.
    """

    names: tuple[str, ...]
    origins: tuple[Block, ...]
    final: Block
    fitted: tuple[FittedLaw | None, ...]
    problems: tuple[str, ...]


def gather(
    candidates: Sequence[Candidate],
    table: RunTable,
    points: pl.DataFrame,
    point_compute: Floats,
    *,
    y: str,
    seed: int = 0,
    origins: int = ORIGINS,
    shared_fits: SharedFits | None = None,
    group: object = None,
) -> Evidence:
    """Fit every candidate at every origin and on all runs.

    At an origin whole runs are hidden, with their checkpoints, and finished runs are predicted.

    Args:
        candidates: who competes.
        table: runs of one group.
        points: settings asked about; a column ``y`` there is not read.
        point_compute: their compute.
        y: column to predict.
        seed: of the bootstrap draws.
        origins: cut-offs tried at most.
        shared_fits: all groups, where candidates share exponents between them.
        group: which of them this is.

    Raises:
        DesignError: no candidate can be fitted on these runs.
    """

    def fits(kept: RunTable) -> Iterator[FittedLaw | str]:
        for candidate in candidates:
            try:
                if candidate.shared and shared_fits is not None:
                    yield shared_fits.fit(candidate, group, float(kept.total.max()))
                else:
                    rows = kept.choose(candidate.rows)
                    yield candidate.fit(rows.frame, rows.compute, y=y, seed=seed)
            except (DesignError, MethodError) as error:
                yield str(error)

    column(table.frame, y)
    unknown = np.full(len(points), np.nan)
    fitted = list(fits(table))
    final = _block(candidates, fitted, table, points, point_compute, unknown, y, seed)
    laws = tuple(None if isinstance(each, str) else each for each in fitted)
    problems = tuple(each if isinstance(each, str) else "" for each in fitted)
    if all(law is None for law in laws):
        raise DesignError(next(problem for problem in problems if problem))
    blocks = []
    for cut in _cuts(table, origins, alone=shared_fits is None or len(shared_fits.tables) < 2):
        kept = table.up_to(cut)
        held = table.take(table.finished & (table.total > cut * SAME))
        log_y = np.log(column(held.frame, y))
        block = _block(candidates, list(fits(kept)), kept, held.frame, held.compute, log_y, y, seed)
        if np.isfinite(block.log_pred).any():
            blocks.append(block)
    names = tuple(candidate.name for candidate in candidates)
    return Evidence(names, tuple(blocks), final, laws, problems)


def _cuts(table: RunTable, origins: int, *, alone: bool = True) -> Floats:
    """Compute values to cut at: as even in log compute as the runs allow.

    Args:
        table: runs of one group.
        origins: cut-offs at most.
        alone: whether no other group's runs help to fit these.
    """
    values = _distinct(table.total)
    ends = values * SAME
    rows = np.searchsorted(np.sort(table.total), ends, side="right")
    runs = np.searchsorted(np.sort(table.total[table.finished]), ends, side="right")
    enough = [runs >= FEWEST, runs >= AT_LEAST]
    if not alone:
        enough.append(runs >= FEWEST_RUNS)
    enough.append((rows > runs) & (rows >= FEWEST) & (runs >= FEWEST_RUNS))
    for choice in enough:
        possible = values[choice & (values < values[-1])]
        if len(possible):
            break
    if len(possible) <= origins:
        return np.asarray(possible)
    targets = np.linspace(np.log(possible[0]), np.log(possible[-1]), origins)
    nearest = np.abs(np.log(possible)[:, None] - targets).argmin(axis=0)
    return np.asarray(possible[np.unique(nearest)])


def _distinct(values: Floats) -> Floats:
    """Values that differ by more than rounding, the largest of each cluster, in order.

    Runs of one budget have 6ND that differ in the last digit.
    """
    ordered = np.unique(values)
    return np.asarray(ordered[np.append(ordered[1:] > ordered[:-1] * SAME, True)])


def _block(
    candidates: Sequence[Candidate],
    fitted: Sequence[FittedLaw | str],
    table: RunTable,
    points: pl.DataFrame,
    point_compute: Floats,
    log_y: Floats,
    y: str,
    seed: int,
) -> Block:
    shape = (len(candidates), len(points))
    log_pred, spread, change = (np.full(shape, np.nan) for _ in range(3))
    noise, residual = (np.full(len(candidates), np.nan) for _ in range(2))
    runs = table.choose("finished").frame
    known = np.log(column(runs, y))
    for m, (candidate, law) in enumerate(zip(candidates, fitted, strict=True)):
        if isinstance(law, str):
            continue
        log_pred[m] = np.log(law.curve(points))
        curves = np.log(law.refit_draws(points, draws=SPREAD_DRAWS, seed=seed))
        at_runs = np.log(law.curve(runs))
        spread[m] = np.minimum(_scale(curves), LARGEST_SPREAD)
        noise[m] = law.noise
        near, edge = _nearest(runs, points, candidate.law.reads(runs))
        change[m] = log_pred[m] - at_runs[near]
        fitted_on = len(table.choose(candidate.rows).frame)
        residual[m] = _residual(known - at_runs, edge, law.noise, fitted_on)
    distance = np.maximum(np.log(point_compute / table.total.max()), 0.0)
    return Block(len(runs), log_pred, spread, noise, residual, change, distance, log_y)


def _nearest(
    runs: pl.DataFrame, points: pl.DataFrame, inputs: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The run nearest to each point in the logs of the inputs, and the runs at the edge.

    Shares of a mixture (``mix.SOURCE``) count as they are: they may be zero. The edge holds the
    runs that are nearest to some point, and at least ``EDGE`` runs.
    """
    here, there = (
        np.stack([_place(frame, name) for name in inputs], axis=1) for frame in (runs, points)
    )
    squares = ((there[:, None, :] - here[None]) ** 2).sum(axis=2)
    near = squares.argmin(axis=1)
    count = max(EDGE, len(np.unique(near)))
    return near, np.argsort(squares.min(axis=0), kind="stable")[:count]


def _place(frame: pl.DataFrame, name: str) -> Floats:
    if name.startswith(MIXTURE):
        return column(frame, name, positive=False)
    return np.asarray(np.log(column(frame, name)))


def _residual(
    residuals: Floats, edge: npt.NDArray[np.int64], noise: float, fitted_on: int
) -> float:
    """Geometric mean of the root mean square over all runs and over those at the edge.

    A law that misses at the edge it is extrapolated from will miss further on; one that misses
    only among the smallest runs may not. A run that failed counts up to ``FAILED`` noise levels.

    Args:
        residuals: log of result over curve at the finished runs, shape (n,).
        edge: which of them lie nearest to the points.
        noise: scatter of single runs.
        fitted_on: rows behind the fit, checkpoints among them.
    """
    if noise > 0:
        limit = FAILED * max(noise, LEAST_NOISE)
        residuals = np.clip(residuals, -limit, limit)
    everywhere, near = (float(np.mean(part**2)) for part in (residuals, residuals[edge]))
    return float((everywhere * near) ** 0.25 * np.sqrt(fitted_on / max(fitted_on - PARAMETERS, 1)))


def _scale(draws: Floats) -> Floats:
    """Robust standard deviation of each column: a draw stuck at a bound must not set it."""
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    return np.asarray((high - low) / 2)
