"""One law fitted to several groups of runs that share its exponents.

Corpora, mixtures or methods that were each tried a few times often differ in how good they are
(amplitudes and offset, free in every group) but not in how fast they get better (exponents). Where
that holds, the groups together say more about the exponents than any one can. Where it does not, a
shared fit is wrong for all: it competes with separate fits and is never forced
(:mod:`leadsman.laws.competition`).

Laws with parameters searched on a grid (Kaplan's, shifted and broken powers) keep to their groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from leadsman.errors import DesignError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting import log_curves, robust_scale
from leadsman.laws.fitting.identify import WIDE_EXPONENT, check_design
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.shared_power_sum import SharedPowerSum, fit_shared, refit_shared
from leadsman.laws.table import column

WEAKNESS_DRAWS = 40
"""Refits that show whether an exponent is determined."""


def can_share(law: Law) -> bool:
    """Whether a law's exponents can be shared: a sum of powers without parameters on a grid."""
    return isinstance(law, PowerSumLaw) and law.shareable and not law.shapes


@dataclass(frozen=True)
class Group:
    """A group's runs and how much each counts, shape (n,)."""

    runs: pl.DataFrame
    weights: Floats


class SharedFit:
    """A law with its exponents shared by groups of runs.

    Args:
        law: a law that :func:`can_share`.
        groups: runs of each group, by name.
        y: column to predict.
        seed: of all refits, which are the same whatever seed a group's draws ask for: groups stay
            comparable draw by draw.

    Attributes:
        names: the groups fitted: those whose runs can show the amplitudes.
        problems: why other groups were left out, by name.
        theta: amplitudes of each group in turn, then the exponents, shape (q,).

    Raises:
        DesignError: fewer than two groups can be fitted, or their runs cannot show the exponents.
    """

    def __init__(
        self, law: PowerSumLaw, groups: Mapping[object, Group], *, y: str, seed: int = 0
    ) -> None:
        self.law, self.y, self._seed = law, y, seed
        self._refits: dict[int, Floats] = {}
        self.problems: dict[object, str] = {}
        inputs, parts = {}, []
        for name, group in groups.items():
            try:
                x = _readable(law, group)
            except DesignError as error:
                self.problems[name] = str(error)
                continue
            inputs[name] = x
            parts.append(law.problem(x, np.log(column(group.runs, y)), group.weights, ()))
        self.names = tuple(inputs)
        if len(self.names) < 2:
            raise DesignError(
                f"{law.name}: exponents can be shared by two groups or more, and "
                f"{len(self.names)} can be fitted"
            )
        _check_within(law, list(inputs.values()))
        self.problem = SharedPowerSum.of(parts)
        self.theta = fit_shared(self.problem, law.starting_exponents()).theta

    @cached_property
    def noise(self) -> float:
        """Scatter of single runs of all groups: the few runs of one say little."""
        return robust_scale(self.problem.residuals(self.theta), self.problem.size)

    def refits(self, draws: int) -> Floats:
        """Fits under exponential row weights, shape (draws, q); kept for the other groups."""
        if draws not in self._refits:
            rows = self.problem.rows.weights
            shares = np.random.default_rng([self._seed, 0]).standard_exponential((draws, len(rows)))
            for a, b in itertools.pairwise(self.problem.edges):
                shares[:, a:b] /= shares[:, a:b].mean(axis=1, keepdims=True)
            self._refits[draws] = refit_shared(self.problem, self.theta, rows * shares)
        return self._refits[draws]

    @cached_property
    def weak(self) -> tuple[str, ...]:
        """A sentence for each exponent that even all groups together hardly determine."""
        sentences = []
        count = len(self.law.exponents)
        spread = self.refits(WEAKNESS_DRAWS)[:, -count:].std(axis=0)
        for exponent, value, error in zip(
            self.law.exponents, self.theta[-count:], spread, strict=True
        ):
            if error > WIDE_EXPONENT * (abs(value) + 0.2):
                sentences.append(
                    f"{self.law.name}: exponent {exponent.name} = {value:.3g}, shared by "
                    f"{len(self.names)} groups, is hardly determined (standard error {error:.2g})."
                )
        return tuple(sentences)

    def of(self, group: object) -> FittedShared:
        """The fitted law of one group.

        Raises:
            DesignError: its runs cannot show the law's amplitudes.
        """
        if group in self.problems:
            raise DesignError(self.problems[group])
        return FittedShared(self, self.names.index(group))


class FittedShared(FittedLaw):
    """One group's law: its own amplitudes, and exponents shared with other groups."""

    def __init__(self, joint: SharedFit, place: int) -> None:
        self.law: PowerSumLaw = joint.law
        self.y, self.noise = joint.y, joint.noise
        self._joint, self._place = joint, place
        self.theta = joint.problem.own(joint.theta[None], place)[0]

    @property
    def warnings(self) -> tuple[str, ...]:  # type: ignore[override]
        """What a reader of every prediction must know."""
        return self._joint.weak

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate at each point, shape (n,)."""
        return np.asarray(self._curves(points, self.theta[None])[0])

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the curve by refits of all groups, shape (draws, n)."""
        return self._curves(points, self._own_draws(draws))

    def parameters(self) -> dict[str, float]:
        """Amplitudes of the group and shared exponents by name."""
        return {name: float(value[0]) for name, value in self._named(self.theta[None]).items()}

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Draws of each parameter by refits of all groups, shape (draws,)."""
        return self._named(self._own_draws(draws))

    def _own_draws(self, draws: int) -> Floats:
        return self._joint.problem.own(self._joint.refits(draws), self._place)

    def _curves(self, points: pl.DataFrame, thetas: Floats) -> Floats:
        terms = self.law.terms_at(self.law.read(points), ())
        return np.asarray(np.exp(log_curves(thetas, *terms)))

    def _named(self, thetas: Floats) -> dict[str, Floats]:
        count = len(self.law.terms)
        named = {name: np.exp(thetas[:, j]) for j, name in enumerate(self.law.terms)}
        return named | {
            each.name: thetas[:, count + k] for k, each in enumerate(self.law.exponents)
        }


def _readable(law: PowerSumLaw, group: Group) -> dict[str, Floats]:
    """The group's inputs; refuses runs that cannot show the law's amplitudes."""
    x = law.read(group.runs)
    for name in law.inputs:
        check_design(law.name, {name: x[name]}, group.weights)
    settings = np.unique(np.stack([x[name] for name in law.inputs], axis=1), axis=0)
    missing = len(law.terms) - len(settings)
    if missing > 0:
        raise DesignError(
            f"{law.name}: {len(settings)} distinct settings cannot show {len(law.terms)} "
            f"amplitudes; add at least {missing} more"
        )
    return x


def _check_within(law: PowerSumLaw, inputs: Sequence[Mapping[str, Floats]]) -> None:
    """Refuse groups whose inputs vary only together within each: exponents stay unseen."""
    within = {
        name: np.concatenate([x[name] / np.exp(np.log(x[name]).mean()) for x in inputs])
        for name in law.inputs
    }
    check_design(law.name, within, np.ones(len(within[law.inputs[0]])))
