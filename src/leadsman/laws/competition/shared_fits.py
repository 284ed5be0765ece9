"""Fits that share exponents between groups, made once for all groups that ask for the same.

When the largest runs of one group are hidden, so are those of the others: every group keeps what
is at most the same share of its own largest compute. Otherwise an origin would be forecast with
exponents that had seen what it hides.
"""

from __future__ import annotations

from collections.abc import Mapping

from leadsman.errors import DesignError
from leadsman.laws.base import FittedLaw
from leadsman.laws.competition.candidates import Candidate
from leadsman.laws.competition.run_table import RunTable
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.shared_exponents import Group, SharedFit


class SharedFits:
    """The groups of a table and the fits they share.

    Args:
        tables: runs of each group, by name.
        y: column to predict.
        seed: of the refits.
    """

    def __init__(self, tables: Mapping[object, RunTable], *, y: str, seed: int = 0) -> None:
        self.tables, self.y, self.seed = tables, y, seed
        self._fits: dict[tuple[object, ...], SharedFit | str] = {}

    def fit(self, candidate: Candidate, group: object, cut: float) -> FittedLaw:
        """The law of one group from runs up to ``cut`` and as much of the others.

        Raises:
            DesignError: these runs cannot show the group's amplitudes or the exponents.
        """
        share = cut / self.tables[group].total.max()
        cuts = {name: share * table.total.max() for name, table in self.tables.items()}
        # Cuts are nested, so the number of rows left in each group says which they are.
        left = (self.tables[name].within(cut).sum() for name, cut in cuts.items())
        key = (candidate.name, *left)
        if key not in self._fits:
            kept = {name: self.tables[name].up_to(cut) for name, cut in cuts.items()}
            self._fits[key] = self._fit(candidate, kept)
        found = self._fits[key]
        if isinstance(found, str):
            raise DesignError(found)
        return found.of(group)

    def _fit(self, candidate: Candidate, kept: Mapping[object, RunTable]) -> SharedFit | str:
        groups = {}
        for name, table in kept.items():
            chosen = table.choose(candidate.rows)
            if len(chosen.frame):
                groups[name] = Group(chosen.frame, candidate.row_weights(chosen.compute))
        assert isinstance(candidate.law, PowerSumLaw)
        try:
            return SharedFit(candidate.law, groups, y=self.y, seed=self.seed)
        except DesignError as error:
            return str(error)
