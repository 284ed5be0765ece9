"""Runs of one group as the competition reads them: in order of compute, checkpoints told apart.

A row is a finished run, or a checkpoint of one: a measurement made while it was still training. A
checkpoint is not a finished run: under a cosine or any decaying schedule its loss lies above that
of a run planned to end there, since its learning rate has not come down; under a constant one, or
averaged weights, it may be as good. So which rows are fitted on competes: finished runs alone,
checkpoints past the first tenth of their run (its warm-up) too, or all.
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
from leadsman.laws.table import column, mixtures_vary, no_inputs, thin

RowChoice = Literal["finished", "warmed-up", "all"]

WARMED_UP = 0.1
"""Share of a run after which its checkpoints count as past the warm-up."""

SAME = 1 + 1e-9
"""Two amounts of compute within this factor are one."""


ENOUGH = 4
"""Runs from which checkpoints are told from finished runs: fewer finished runs show no law."""

CHECKPOINTS = 20
"""Rows of one run read at most, evenly spaced in log tokens."""

FIXED = ("params", "active_params", "total_params", "experts")
"""Settings that cannot change within a run."""

RUN_COLUMNS = ("run", "run_id", "id")
"""Columns known to name runs."""


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
    def of(
        cls, frame: pl.DataFrame, x: Sequence[str] | None = None, *, run: str | None = None
    ) -> RunTable:
        """A table of rows.

        Args:
            frame: the rows.
            x: inputs whose product orders them where compute is not known.
            run: column that says which run a row belongs to; its last row is its end. Without
                one, or with fewer than ``ENOUGH`` runs, every row is a finished run.

        Raises:
            InputError: rows of a run differ in step or tokens but not in compute.
        """
        if run is not None and frame[run].n_unique() >= ENOUGH:
            return _with_checkpoints(frame, x, run)
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


def run_column(frame: pl.DataFrame, run: str | None = None) -> str | None:
    """The column that says which rows are checkpoints of one run, if some are.

    Args:
        frame: rows.
        run: its name; by default ``run``, ``run_id`` or ``id``, where some run has several rows of
            one model size that differ in tokens or steps. Empty: every row is a finished run.

    Raises:
        InputError: there is no such column.
    """
    if run is not None:
        if run == "":
            return None
        if run not in frame.columns:
            raise InputError(f"no column {run!r} that names the run of each row", column=run)
        return run
    for name in RUN_COLUMNS:
        if name in frame.columns and _progress(frame, name) is not None:
            return name
    return None


def _progress(frame: pl.DataFrame, run: str) -> str | None:
    """The column that grows along each run: ``tokens``, else ``step``; ``None`` if none does."""
    several = frame.filter(pl.len().over(run) > 1)
    if several.is_empty():
        return None
    fixed = [name for name in FIXED if name in frame.columns]
    for name in ("tokens", "step"):
        if name not in frame.columns:
            continue
        told = several.group_by(run).agg(
            (pl.col(name).n_unique() == pl.len()).alias("grows"),
            *(pl.col(each).n_unique().eq(1).alias(each) for each in fixed),
        )
        if told.select(pl.all_horizontal(pl.exclude(run)).all()).item():
            return name
    return None


def _with_checkpoints(frame: pl.DataFrame, x: Sequence[str] | None, run: str) -> RunTable:
    grows = _progress(frame, run)
    if grows is None:
        compute = compute_of(frame, x)
        return RunTable(frame, compute, compute, np.ones(len(frame)))
    parts = frame.partition_by(run, maintain_order=True)
    frame = pl.concat([thin(part, grows, CHECKPOINTS) for part in parts])
    compute = compute_of(frame, x)
    seen = column(frame, grows)
    known = pl.DataFrame({"run": frame[run], "seen": seen, "compute": compute}).with_columns(
        last=pl.col("seen").max().over("run"), total=pl.col("compute").max().over("run")
    )
    at_end = known["seen"] == known["last"]
    stuck = known.filter(~at_end & (pl.col("compute") >= pl.col("total")))
    if len(stuck):
        raise InputError(
            f"run {stuck['run'][0]!r} has rows of other {grows} but of one compute; give each row "
            f"the tokens and flops spent until then, or the ends of runs alone"
        )
    age = (known["seen"] / known["last"]).to_numpy()
    return RunTable(frame, compute, known["total"].to_numpy(), age)


def compute_of(frame: pl.DataFrame, x: Sequence[str] | None = None) -> Floats:
    """What orders the runs from cheap to dear: ``flops``, else 6ND, else the product of inputs.

    Runs that differ in their mixtures alone cost the same: 1 each.
    """
    if "flops" in frame.columns and not frame["flops"].null_count():
        return column(frame, "flops")
    if {"params", "tokens"} <= set(frame.columns):
        return column(frame.drop("flops", strict=False), "flops")
    names = x or [name for name in ("params", "tokens", "step") if name in frame.columns]
    if not names and mixtures_vary(frame):
        return np.ones(len(frame))
    if not names:
        raise InputError(no_inputs(frame))
    return np.asarray(np.prod([column(frame, name) for name in names], axis=0))
