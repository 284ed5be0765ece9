"""What a back-test case is: a table of real runs, and which of them a forecast may see."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from leadsman.laws.competition import compute_of

TENTH = 0.1
"""Share of the top compute that a forecast may see."""


@dataclass(frozen=True)
class Case:
    """One table to forecast from.

    Attributes:
        source: whose runs these are; what is learned from history leaves out all of them.
        dataset: the data set it belongs to; cases of one data set are not independent.
        name: of the case within the data set (a corpus, a loss, a setting).
        runs: columns ``params``, ``tokens``, ... as in :mod:`leadsman.laws.table`, and ``loss``.
        x: inputs a law may read.
        group: column that splits the runs into series of their own, or ``None``.
        note: what ``loss`` is, and which rows were left out.
    """

    source: str
    dataset: str
    name: str
    runs: pl.DataFrame
    x: tuple[str, ...] = ("params", "tokens")
    group: str | None = None
    note: str = ""

    def split(self, share: float = TENTH) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Runs to fit on (at most ``share`` of the top compute of their group), and the rest.

        Groups that keep fewer than five runs to fit on, or none to forecast, are left out.
        """
        parts = (
            [self.runs]
            if self.group is None
            else self.runs.partition_by(self.group, maintain_order=True)
        )
        fit, held = [], []
        for part in parts:
            compute = compute_of(part, self.x)
            small = compute <= share * compute.max()
            if small.sum() >= 5 and not small.all():
                fit.append(part.filter(small))
                held.append(part.filter(~small))
        empty = self.runs.clear()
        return pl.concat([empty, *fit]), pl.concat([empty, *held])
