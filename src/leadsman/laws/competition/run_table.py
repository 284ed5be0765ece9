"""Runs of one group as the competition reads them: in order of compute, checkpoints told apart.

A row is a finished run, or a checkpoint of one: a measurement made while it was still training. A
checkpoint is not a finished run. Under a cosine or any decaying schedule its loss lies above that
of a run planned to end there, since its learning rate has not come down; under a constant one, or
averaged weights, it may be as good. So which rows are fitted on competes: finished runs alone,
checkpoints after the warm-up too, or all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.errors import InputError
from leadsman.laws.base import Floats
from leadsman.laws.table import column, no_inputs

RowChoice = Literal["finished", "warmed-up", "all"]

WARMED_UP = 0.1
"""Share of a run after which its checkpoints count as past the warm-up."""

SAME = 1 + 1e-9
"""Two amounts of compute within this factor are one."""


@dataclass(frozen=True)
class RunTable:
    """Rows of one group, n of them.

    Attributes:
        frame: the rows.
        compute: what was spent until each row, shape (n,).
        total: what its whole run spent, shape (n,).
        age: tokens (or steps) seen as a share of the run's last, shape (n,); 1 for a finished run.
    """

    frame: pl.DataFrame
    compute: Floats
    total: Floats
    age: Floats

    @classmethod
    def of(cls, frame: pl.DataFrame, x: Sequence[str] | None = None) -> RunTable:
        """A table in which every row is a finished run."""
        compute = compute_of(frame, x)
        return cls(frame, compute, compute, np.ones(len(frame)))

    @property
    def finished(self) -> npt.NDArray[np.bool_]:
        """Which rows are finished runs, shape (n,)."""
        return np.asarray(self.age >= 1)

    def take(self, mask: npt.NDArray[np.bool_]) -> RunTable:
        """Some rows."""
        if mask.all():
            return self
        return RunTable(
            self.frame.filter(mask), self.compute[mask], self.total[mask], self.age[mask]
        )

    def up_to(self, cut: float) -> RunTable:
        """Runs whose whole compute is at most ``cut``, with their checkpoints."""
        return self.take(self.within(cut))

    def within(self, cut: float) -> npt.NDArray[np.bool_]:
        """Which rows belong to runs of at most that compute, shape (n,)."""
        return np.asarray(self.total <= cut * SAME)

    def choose(self, rows: RowChoice) -> RunTable:
        """The rows a candidate is fitted on."""
        if rows == "all":
            return self
        return self.take(self.age >= (1 if rows == "finished" else WARMED_UP))


def compute_of(frame: pl.DataFrame, x: Sequence[str] | None = None) -> Floats:
    """What orders the runs from cheap to dear: ``flops``, else 6ND, else the product of inputs."""
    if "flops" in frame.columns and not frame["flops"].null_count():
        return column(frame, "flops")
    if {"params", "tokens"} <= set(frame.columns):
        return column(frame, "flops")
    names = x or [name for name in ("params", "tokens", "step") if name in frame.columns]
    if not names:
        raise InputError(no_inputs(frame))
    return np.asarray(np.prod([column(frame, name) for name in names], axis=0))
