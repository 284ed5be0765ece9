"""Scores in [0, 1], or in per cent: forecast through the error rate, with the noise of the test.

A score s (share of items answered rightly) rises where laws fall, so laws see the error rate
``1 - s``. The test itself adds noise: of n items, the number right is binomial. Where n is known,
that noise is taken out of the scatter of the runs and put back, for the n of the point, into the
forecast. Guessing sets a floor (``chance``): the forecast never goes below it, and runs that do no
better than guessing (within two standard errors) say nothing about how fast the score grows; they
are left out as long as enough others remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.competition import Evidence, compute_of
from leadsman.laws.fitting.parametric import score_column
from leadsman.laws.table import column

LOSSES = ("loss", "bpb", "perplexity", "ppl", "nll")
"""Beginnings of column names that are never taken for scores."""

RISING = 0.5
"""Rank correlation with compute from which results in [0, 1] are taken for scores."""

FEWEST = 5
"""Different results and computes from which a rise is believed."""

ENOUGH = 7
"""Runs above chance that must remain when those at chance are left out."""

PERCENT = 100.0

LEAST_ERROR_RATE = 1e-3
"""Error rate of a run without a mistake where the number of items is not known."""


@dataclass(frozen=True)
class ScoreTest:
    """How a score was measured.

    Attributes:
        items: questions behind each score: a number, a column of runs and points, or unknown.
        chance: score of guessing, in [0, 1).
        top: score of a run without a mistake: 1, or 100 where scores are in per cent.
    """

    items: str | int | None = None
    chance: float = 0.0
    top: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if isinstance(self.items, int) and self.items < 1:
            raise InputError(f"a test has at least one item, not {self.items}", column="items")
        if not 0 <= self.chance < 1:
            raise InputError(f"chance lies in [0, 1), not {self.chance}", column="chance")

    def items_of(self, frame: pl.DataFrame) -> Floats | None:
        """Items behind each row, shape (n,)."""
        if self.items is None:
            return None
        if isinstance(self.items, int):
            return np.full(len(frame), float(self.items))
        return column(frame, self.items)

    def measured_on(
        self, runs: pl.DataFrame, points: pl.DataFrame, y: str
    ) -> tuple[ScoreTest, pl.DataFrame]:
        """The test with the unit of the runs' scores, and the points with its items.

        Raises:
            InputError: the points do not say how many items they will be tested on.
        """
        highest = column(runs, y, positive=False).max()
        test = replace(self, top=PERCENT) if 1 < highest <= PERCENT else self
        items = self.items
        if not isinstance(items, str) or items in points.columns:
            return test, points
        known = np.unique(column(runs, items))
        if len(known) > 1:
            raise InputError(
                f"the points have no column {items!r} with the items behind their score; "
                f"add it, or give --items as a number",
                column=items,
            )
        return test, points.with_columns(pl.lit(known[0]).alias(items))

    def error_rates(self, runs: pl.DataFrame, y: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """The runs with ``y`` as an error rate above zero, and sentences about runs left out.

        Raises:
            InputError: a score lies outside [0, 1].
        """
        if self.top != 1:
            runs = runs.with_columns(pl.Series(y, column(runs, y, positive=False) / self.top))
        scores = score_column(runs, y)
        items = self.items_of(runs)
        if items is None:
            errors = np.maximum(1 - scores, LEAST_ERROR_RATE)
        else:
            errors = ((1 - scores) * items + 0.5) / (items + 1)
        runs = runs.with_columns(pl.Series(y, errors))
        guessed = scores <= self.chance + 2 * self._guess_error(items)
        if self.chance == 0 or not guessed.any() or (~guessed).sum() < ENOUGH:
            return runs, ()
        said = f"{guessed.sum()} runs do no better than guessing and were left out."
        return runs.filter(pl.Series(~guessed)), (said,)

    def sampling_variance(self, runs: pl.DataFrame, y: str) -> float:
        """Variance of log error rates from the test alone: median over runs; 0 if not known."""
        items = self.items_of(runs)
        if items is None:
            return 0.0
        errors = column(runs, y)
        return float(np.median((1 - errors) / (errors * items)))

    def scores(self, error_draws: Floats, points: pl.DataFrame, *, seed: int) -> Floats:
        """Draws of scores from draws of error rates, both (draws, n), with the test's noise."""
        scores = 1 - np.clip(error_draws, 0.0, 1 - self.chance)
        items = self.items_of(points)
        if items is None:
            return np.asarray(self.top * scores)
        counts = items.astype(np.int64)
        rng = np.random.default_rng([seed, 5])
        return np.asarray(self.top * rng.binomial(counts, scores) / counts)

    def _guess_error(self, items: Floats | None) -> Floats | float:
        if items is None:
            return 0.005
        return np.asarray(np.sqrt(self.chance * (1 - self.chance) / items))


def recognise(
    runs: pl.DataFrame, y: str, x: Sequence[str] | None
) -> tuple[ScoreTest | None, tuple[str, ...]]:
    """The test if results look like scores, and what to tell the user about results that rise."""
    values, compute = column(runs, y, positive=False), compute_of(runs, x)
    if len(np.unique(values)) < FEWEST or len(np.unique(compute)) < FEWEST:
        return None, ()
    if spearmanr(compute, values).statistic < RISING:
        return None, ()
    named_loss = y.lower().startswith(LOSSES)
    if named_loss or values.min() < 0 or values.max() > PERCENT:
        return None, (f"{y} rises with compute: laws here describe results that fall.",)
    percent = values.max() > 1
    return ScoreTest(), (
        f"{y} lies in {'[0, 100]' if percent else '[0, 1]'} and rises with compute: forecast as a "
        f"{'percentage' if percent else 'score'} (say so with --score and the number of --items, "
        f"or --no-score if it is none).",
    )


def without_sampling(evidence: Evidence, variance: float) -> Evidence:
    """Evidence whose final scatter leaves the noise of the test out."""
    final = evidence.final
    residual, noise = (
        np.sqrt(np.maximum(part**2 - variance, 0.0)) for part in (final.residual, final.noise)
    )
    return replace(evidence, final=replace(final, residual=residual, noise=noise))
