"""Which laws compete for a table of runs, and how each may be fitted.

A candidate is a law together with how it is fitted: the Huber width (1e-3 follows the median run,
3e-2 the mean run), how much larger runs weigh (row weights ~ compute^gamma), and, where a table has
them, whether groups share exponents and which checkpoints count. All change where a law lands ten
times further on, so all compete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl

from leadsman.errors import DesignError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.competition.run_table import RowChoice
from leadsman.laws.fitting.identify import FLAT
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.shared_exponents import can_share
from leadsman.laws.methods.broken_power import BrokenPower
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.laws.methods.data_constrained import DataConstrained
from leadsman.laws.methods.kaplan import Kaplan
from leadsman.laws.methods.mixture_of_experts import MixtureOfExperts, Routing
from leadsman.laws.methods.mixture_scaling import TERMS, Coupling, MixtureScaling
from leadsman.laws.methods.over_training import OverTraining
from leadsman.laws.methods.power import Power
from leadsman.laws.methods.shifted_power import ShiftedPower
from leadsman.laws.table import column, mixtures_vary
from leadsman.registry import method

NARROW, BROAD = 1e-3, 3e-2
WAYS = tuple((delta, gamma) for delta in (NARROW, BROAD) for gamma in (0.0, 0.5, 1.0))
"""Huber width and gamma of the ways to fit that compete."""

INPUTS = ("params", "tokens", "unique_tokens", "experts", "total_params", "flops", "step")
"""Columns that laws in the competition read, by priority."""

CHECKPOINT_ROWS: tuple[RowChoice, ...] = ("warmed-up", "all")
"""Further choices of rows that compete where a table holds checkpoints."""


@dataclass(frozen=True)
class Candidate:
    """A law and how it is fitted.

    Attributes:
        law: the law, with its Huber width.
        gamma: row weights are proportional to compute^gamma.
        way: how it is fitted, as text (``d0.001 g0.5``), empty for a law with a single way.
        shared: whether its exponents are those of all groups.
        rows: which rows it is fitted on.
    """

    law: Law
    gamma: float = 0.0
    way: str = ""
    shared: bool = False
    rows: RowChoice = "finished"

    @property
    def name(self) -> str:
        """Law, input of a one-input law, and way of fitting."""
        x = getattr(self.law, "coupling", getattr(self.law, "x", None))
        bare = "" if getattr(self.law, "offset", True) else "-bare"
        title = f"{self.law.name}{bare}[{x}]" if x else self.law.name
        title += "/shared" if self.shared else ""
        return f"{title} {self.way}".strip()

    def fit(
        self, runs: pl.DataFrame, compute: Floats, *, y: str, seed: int = 0, off_grid: bool = False
    ) -> FittedLaw:
        """Fit on runs whose compute is ``compute``, shape (n,).

        ``off_grid``: see :meth:`leadsman.laws.fitting.power_sum.PowerSumLaw.fit`.
        """
        weights = self.row_weights(compute)
        if isinstance(self.law, PowerSumLaw):
            return self.law.fit(runs, y=y, weights=weights, seed=seed, off_grid=off_grid)
        return self.law.fit(runs, y=y, weights=weights, seed=seed)

    def row_weights(self, compute: Floats) -> Floats:
        """How much each run counts, of mean 1, shape (n,)."""
        weights = np.exp(self.gamma * (np.log(compute) - np.log(compute).mean()))
        return np.asarray(weights / weights.mean())


def competing(
    runs: pl.DataFrame,
    *,
    x: Sequence[str] | None = None,
    law: str | Sequence[str] = "auto",
    groups: bool = False,
    checkpoints: pl.DataFrame | None = None,
) -> list[Candidate]:
    """The candidates for a table of runs.

    Args:
        runs: finished runs.
        x: inputs that laws may read; every known column that varies, by default.
        law: ``auto``, or names of laws (a list, or separated by commas).
        groups: whether there are several groups, so that fits with shared exponents compete too.
        checkpoints: the runs and their checkpoints, so that fits with them compete too.

    Raises:
        InputError: a law is not known.
        DesignError: nothing varies in these runs.
    """
    candidates = _of(runs, x, law)
    if checkpoints is not None:
        candidates += [
            replace(each, rows=rows, way=f"{each.way} {rows}".strip())
            for rows in CHECKPOINT_ROWS
            for each in _of(checkpoints, x, law)
        ]
    if groups:
        candidates += [replace(each, shared=True) for each in candidates if can_share(each.law)]
    return candidates


def _of(runs: pl.DataFrame, x: Sequence[str] | None, law: str | Sequence[str]) -> list[Candidate]:
    inputs = varying(runs, x)
    if law != "auto":
        names = law.split(",") if isinstance(law, str) else list(law)
        return [each for name in names for each in _named(name.strip(), inputs)]
    return [each for cls, options in _suitable(inputs, runs) for each in _ways(cls, options)]


def varying(runs: pl.DataFrame, x: Sequence[str] | None = None) -> list[str]:
    """Known input columns that change between runs.

    Raises:
        InputError: an input asked for is missing or has a bad cell.
        DesignError: none changes.
    """
    asked = x is not None
    inputs = []
    for name in x if x is not None else INPUTS:
        if not asked and (name not in runs.columns or runs[name].null_count()):
            continue
        values = column(runs, name)
        if np.ptp(np.log(values)) >= FLAT:
            inputs.append(name)
    if not inputs:
        known = ", ".join(x or [name for name in INPUTS if name in runs.columns]) or "no input"
        raise DesignError(
            f"the runs do not differ in any input ({known}){_differ(runs)}; add runs at other "
            f"sizes (params) or lengths (tokens)"
        )
    return inputs


def _differ(runs: pl.DataFrame) -> str:
    """What they differ in instead, where it is a setting: half a sentence."""
    others = [
        name
        for name in runs.columns
        if name not in INPUTS and not name.startswith("loss") and runs[name].n_unique() > 1
    ]
    mixed = [name for name in others if name.startswith("mix.")]
    if mixed:
        return f" but in {', '.join(mixed[:5])}, which laws of size and data do not read"
    return ""


def _suitable(
    inputs: Sequence[str], runs: pl.DataFrame
) -> list[tuple[type[Law], dict[str, object]]]:
    have = set(inputs)
    if {"params", "tokens"} <= have and tied(runs):
        # One tokens-per-parameter ratio: size and data cannot be told apart, compute can be seen.
        return _one_input("flops") + _of_mixtures(runs, ("flops",))
    if {"params", "tokens"} <= have:
        found: list[tuple[type[Law], dict[str, object]]] = [
            (Chinchilla, {}),
            (OverTraining, {}),
            (Kaplan, {}),
        ]
        if "experts" in have or ("total_params" in have and is_sparse(runs)):
            found.append((MixtureOfExperts, {}))
        if "unique_tokens" in runs.columns and bool(
            (column(runs, "tokens") > 1.01 * column(runs, "unique_tokens")).any()
        ):
            found.append((DataConstrained, {}))
        return found + _of_mixtures(runs, ("params", "tokens"))
    if {"params", "experts"} <= have:
        return [(Routing, {}), (Power, {"x": "params"})]
    return _one_input(inputs[0]) + _of_mixtures(runs, inputs[:1])


def _of_mixtures(runs: pl.DataFrame, x: Sequence[str]) -> list[tuple[type[Law], dict[str, object]]]:
    """Laws that read mixtures beside ``x``, if the runs differ in theirs."""
    if not set(x) <= set(TERMS) or not mixtures_vary(runs):
        return []
    return [(MixtureScaling, {"coupling": each, "x": tuple(x)}) for each in get_args(Coupling)]


def tied(runs: pl.DataFrame) -> bool:
    """Whether ``params`` and ``tokens`` change only together (one line in log space)."""
    logs = np.log([column(runs, "params"), column(runs, "tokens")])
    centred = logs - logs.mean(axis=1, keepdims=True)
    return bool(np.linalg.svd(centred, compute_uv=False)[-1] / np.sqrt(len(runs)) < FLAT)


def is_sparse(runs: pl.DataFrame) -> bool:
    """Whether runs say how much of a model is active, and differ in it."""
    if "active_params" not in runs.columns or runs["active_params"].null_count():
        return False
    share = np.log(column(runs, "total_params") / column(runs, "active_params"))
    return bool(np.ptp(share) >= FLAT)


def _one_input(name: str) -> list[tuple[type[Law], dict[str, object]]]:
    return [
        (Power, {"x": name}),
        (Power, {"x": name, "offset": False}),
        (ShiftedPower, {"x": name}),
        (BrokenPower, {"x": name}),
    ]


def _ways(cls: type[Law], options: dict[str, object]) -> list[Candidate]:
    return [
        Candidate(cls(**options, delta=delta), gamma, f"d{delta:g} g{gamma:g}")  # type: ignore[call-arg]
        for delta, gamma in WAYS
    ]


def _named(name: str, inputs: Sequence[str]) -> list[Candidate]:
    cls = method("law", name)
    assert issubclass(cls, Law)
    if cls in (Power, ShiftedPower, BrokenPower):
        return _ways(cls, {"x": inputs[0]})
    try:
        return _ways(cls, {})
    except TypeError:
        return [Candidate(cls())]
