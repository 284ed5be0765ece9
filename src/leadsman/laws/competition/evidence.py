"""Rolling origin: hide the dearest runs, fit every candidate on the rest, predict them.

The result is plain arrays: what each candidate predicted at each origin, how sure its parameters
were, and what came. Weights, calibration and the back-test all read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.competition.candidates import Candidate
from leadsman.laws.table import column

ORIGINS = 6
"""Cut-offs tried at most."""

FEWEST, AT_LEAST = 7, 5
"""Runs an origin must leave to fit on (two more than most laws have parameters), and where no
origin can leave so many."""

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
    runs: pl.DataFrame,
    compute: Floats,
    points: pl.DataFrame,
    point_compute: Floats,
    *,
    y: str,
    seed: int = 0,
    origins: int = ORIGINS,
) -> Evidence:
    """Fit every candidate at every origin and on all runs.

    Args:
        candidates: who competes.
        runs: runs of one group, n rows.
        compute: what orders them, shape (n,).
        points: settings asked about; a column ``y`` there is not read.
        point_compute: their compute.
        y: column to predict.
        seed: of the bootstrap draws.
        origins: cut-offs tried at most.

    Raises:
        DesignError: no candidate can be fitted on these runs.
    """
    log_y = np.log(column(runs, y))
    final, fitted, problems = _block(
        candidates, runs, compute, points, point_compute, np.full(len(points), np.nan), y, seed
    )
    if all(law is None for law in fitted):
        raise DesignError(next(problem for problem in problems if problem))
    blocks = []
    for cut in _cuts(compute, origins):
        train = compute <= cut
        held = runs.filter(~train)
        block, _, _ = _block(
            candidates,
            runs.filter(train),
            compute[train],
            held,
            compute[~train],
            log_y[~train],
            y,
            seed,
        )
        if np.isfinite(block.log_pred).any():
            blocks.append(block)
    names = tuple(candidate.name for candidate in candidates)
    return Evidence(names, tuple(blocks), final, fitted, problems)


def _cuts(compute: Floats, origins: int) -> Floats:
    """Compute values to cut at: as even in log compute as the runs allow."""
    values = np.unique(compute)
    ranks = np.searchsorted(np.sort(compute), values, side="right")
    possible = values[(ranks >= FEWEST) & (values < values[-1])]
    if len(possible) == 0:
        possible = values[(ranks >= AT_LEAST) & (values < values[-1])]
    if len(possible) <= origins:
        return np.asarray(possible)
    targets = np.linspace(np.log(possible[0]), np.log(possible[-1]), origins)
    nearest = np.abs(np.log(possible)[:, None] - targets).argmin(axis=0)
    return np.asarray(possible[np.unique(nearest)])


def _block(
    candidates: Sequence[Candidate],
    runs: pl.DataFrame,
    compute: Floats,
    points: pl.DataFrame,
    point_compute: Floats,
    log_y: Floats,
    y: str,
    seed: int,
) -> tuple[Block, tuple[FittedLaw | None, ...], tuple[str, ...]]:
    shape = (len(candidates), len(points))
    log_pred, spread, change = (np.full(shape, np.nan) for _ in range(3))
    noise, residual = (np.full(len(candidates), np.nan) for _ in range(2))
    fitted: list[FittedLaw | None] = []
    problems = []
    known = np.log(column(runs, y))
    for m, candidate in enumerate(candidates):
        try:
            law = candidate.fit(runs, compute, y=y, seed=seed)
            log_pred[m] = np.log(law.curve(points))
            curves = np.log(law.refit_draws(points, draws=SPREAD_DRAWS, seed=seed))
            at_runs = np.log(law.curve(runs))
        except (DesignError, MethodError) as error:
            fitted.append(None)
            problems.append(str(error))
            continue
        fitted.append(law)
        problems.append("")
        spread[m] = np.minimum(_scale(curves), LARGEST_SPREAD)
        noise[m] = law.noise
        near, edge = _nearest(runs, points, candidate.law.inputs)
        change[m] = log_pred[m] - at_runs[near]
        residual[m] = _residual(known - at_runs, edge, law.noise)
    distance = np.maximum(np.log(point_compute / compute.max()), 0.0)
    block = Block(len(runs), log_pred, spread, noise, residual, change, distance, log_y)
    return block, tuple(fitted), tuple(problems)


def _nearest(
    runs: pl.DataFrame, points: pl.DataFrame, inputs: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The run nearest to each point in the logs of the inputs, and the runs at the edge.

    The edge holds the runs that are nearest to some point, and at least ``EDGE`` runs.
    """
    here, there = (
        np.stack([np.log(column(frame, name)) for name in inputs], axis=1)
        for frame in (runs, points)
    )
    squares = ((there[:, None, :] - here[None]) ** 2).sum(axis=2)
    near = squares.argmin(axis=1)
    count = max(EDGE, len(np.unique(near)))
    return near, np.argsort(squares.min(axis=0), kind="stable")[:count]


def _residual(residuals: Floats, edge: npt.NDArray[np.int64], noise: float) -> float:
    """Geometric mean of the root mean square over all runs and over those at the edge.

    A law that misses at the edge it is extrapolated from will miss further on; one that misses
    only among the smallest runs may not. A run that failed counts up to ``FAILED`` noise levels.
    """
    if noise > 0:
        limit = FAILED * max(noise, LEAST_NOISE)
        residuals = np.clip(residuals, -limit, limit)
    n = len(residuals)
    everywhere, near = (float(np.mean(part**2)) for part in (residuals, residuals[edge]))
    return float((everywhere * near) ** 0.25 * np.sqrt(n / max(n - PARAMETERS, 1)))


def _scale(draws: Floats) -> Floats:
    """Robust standard deviation of each column: a draw stuck at a bound must not set it."""
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    return np.asarray((high - low) / 2)
