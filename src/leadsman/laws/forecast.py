"""A predictive distribution for results at settings not yet run: draws, quantiles, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.errors import InputError

QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


@dataclass(frozen=True)
class Forecast:
    """What results will be at ``points``, as draws from the predictive distribution.

    Attributes:
        points: the settings asked about, n rows.
        draws: float64, shape (k, n), in the unit of ``y``; ``nan`` for points left out, with the
            reason in ``warnings``.
        y: name of the predicted column.
        law: name of the law, or the weights of several (``chinchilla 0.7, power 0.3``).
        warnings: one tuple of sentences a point.
    """

    points: pl.DataFrame
    draws: npt.NDArray[np.float64]
    y: str
    law: str
    warnings: tuple[tuple[str, ...], ...] = ()

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean at each point, shape (n,)."""
        return np.asarray(self.draws.mean(axis=0))

    def quantile(self, q: float) -> npt.NDArray[np.float64]:
        """The ``q`` quantile at each point, shape (n,).

        Raises:
            InputError: ``q`` is not within 0 and 1.
        """
        if not 0 <= q <= 1:
            raise InputError(f"a quantile lies between 0 and 1, not at {q}")
        return np.asarray(np.quantile(self.draws, q, axis=0))

    def interval(self, level: float) -> npt.NDArray[np.float64]:
        """Central interval at each point, shape (n, 2): lower, upper.

        Raises:
            InputError: ``level`` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise InputError(f"a level lies between 0 and 1, as 0.95 does, not {level}")
        tail = (1 - level) / 2
        return np.stack([self.quantile(tail), self.quantile(1 - tail)], axis=1)

    def to_frame(self, *, levels: Sequence[float] = ()) -> pl.DataFrame:
        """The points with ``mean, q025, ..., q975, law, warnings`` added; empty where left out.

        Args:
            levels: further intervals whose bounds get columns (``q005`` and ``q995`` for 0.99).
        """
        tails = [round((1 - level) / 2, 9) for level in levels]
        wanted = sorted({*QUANTILES, *tails, *(round(1 - tail, 9) for tail in tails)})
        columns = {"mean": self.mean}
        columns |= {_column(q): self.quantile(q) for q in wanted}
        warnings = [" ".join(each) for each in self.warnings] or [""] * len(self.points)
        return self.points.with_columns(
            **{name: pl.Series(values).fill_nan(None) for name, values in columns.items()},
            law=pl.lit(self.law),
            warnings=pl.Series(warnings),
        )


def _column(q: float) -> str:
    """Name of a quantile's column: the digits after the point, two at least.

    >>> [_column(q) for q in (0.025, 0.5, 0.995)]
    ['q025', 'q50', 'q995']
    """
    return f"q{f'{q:.9f}'[2:].rstrip('0').ljust(2, '0')}"
