"""What is believed about results at settings not yet run: joint draws over any points.

A belief answers for many points at once, again and again, and position ``k`` is the same world in
every answer: only so can choices be compared. Over scale (params, tokens), a world is one draw of
the parameters of one law; its centre and spread are moved to those of
:func:`leadsman.laws.forecast_runs`, so intervals are the checked ones and the shape of a world is
that of a law. Other settings (lr, batch, shares of a mixture, rates) act on the log result through
a quadratic whose coefficients are learned from the runs with their uncertainty
(:mod:`leadsman.plan.decision.effects`).

Where text repeats (:mod:`leadsman.plan.decision.repetition`), each world has its own decay, and the
laws are asked for the tokens that those of a point are worth in it. If the runs themselves repeated
text, they tell of the decay: how likely one is follows from its prior and from how Chinchilla's
law and the effects of settings explain the runs with it. What else the runs say depends on it, so
laws and effects are then fitted once in each of ``STRATA`` equally likely ranges of decay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.errors import DesignError
from leadsman.laws import Forecast, forecast_runs
from leadsman.plan.decision.repetition import Repetition
from leadsman.plan.decision.runs_fit import RunsFit, adjust
from leadsman.plan.decision.space import Floats, Space, Worlds, at_share

STRATA = 3
TOLD = 0.98
"""Worth of a token of the runs, in a world of fast decay, below which they tell of the decay; and
least over greatest worth, over decays, above which one fit serves them all."""
FAST = -1.28
GRID = np.linspace(-5.0, 5.0, 41)
"""Decays that the runs are asked about, in standard deviations of the prior."""

NODES, WIDE_NODES, WIDE = 3, 5, 1.5
"""Worths at which laws are asked; more where the log of greatest over least is above ``WIDE``."""

Places = npt.NDArray[np.int64]

Ask = Callable[[RunsFit, Worlds, float], Floats]
"""An answer of one fit in worlds of its own, given the middle of its range of decays."""


class Belief(Protocol):
    """Joint draws of a result at any points."""

    y: str
    worlds: int

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Results without the noise of a single run, shape (worlds, n)."""


class BeliefOfRuns:
    """A belief learned from a table of runs.

    Attributes:
        noise: standard deviation of the log of a single run.
        fixed: settings no run varies, and the value they must be held at.
        law, warnings: of the forecast behind it.
        decay: each world's place in the prior of the decay of repeated text, in standard
            deviations, shape (worlds,).

    Args:
        runs: finished runs.
        space: what may be chosen; its scale columns give the region the forecast is asked about.
        y: column to predict.
        group: column of names that split the runs into series (mixtures); ``None`` for one series.
        repetition: what repeated text is worth; ``None`` takes every token for a fresh one.
        worlds: joint draws.
        seed: of the draws.

    Raises:
        DesignError: the runs of a series cannot carry a law.
        InputError: a column is missing or holds what cannot be.
    """

    def __init__(
        self,
        runs: pl.DataFrame,
        space: Space,
        *,
        y: str,
        group: str | None = None,
        repetition: Repetition | None = None,
        worlds: int = 10_000,
        seed: int = 0,
    ) -> None:
        self.y, self.worlds, self.group = y, worlds, group
        self.repetition = repetition
        told = repetition is not None and repetition.of_runs().worth(runs, FAST).min() < TOLD
        self.decay, self._stratum, self._middles = self._decays(runs, space, seed, told=told)
        self._ends = float(self.decay.min()), float(self.decay.max())
        self._fits = [
            RunsFit(self._fresh(runs, middle), runs, space, y=y, group=group, worlds=worlds,
                    seed=seed)
            for middle in self._middles
        ]  # fmt: skip
        self._likely = len(self._fits) // 2
        likely = self._fits[self._likely]
        self.noise, self.fixed = likely.noise, likely.effect.constant
        self.law, self.warnings = likely.law, likely.warnings
        self.effect_sd = likely.effect.prior_sd

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Results without the noise of a single run, shape (worlds, n)."""
        pick = worlds if worlds is not None else slice(None)

        def drawn(fit: RunsFit, own: Worlds, middle: float) -> Floats:
            return fit.effect.draws(points, own) + self._at(fit, points, own, self.decay[own])

        return np.asarray(np.exp(self._by_fit(pick, len(points), drawn)))

    def forecast(self, points: pl.DataFrame, *, draws: int, seed: int) -> Forecast:
        """What single runs at ``points`` will give: :func:`leadsman.laws.forecast_runs` on the
        adjusted runs, moved by the effect of settings and of repeated text with their uncertainty.

        Args:
            points: columns as for :meth:`draws`.
            draws: from the predictive distribution, at most ``worlds``.
            seed: of the draws.
        """
        likely = self._likely
        middle = self._middles[likely]
        asked = points
        if self.repetition is not None:
            asked = self.repetition.effective(points, middle)
        # Their effect is among those of the settings, and was taken out of these runs.
        unmixed = pl.exclude("^mix\\..*$")
        found = forecast_runs(
            self._fits[likely].adjusted.select(unmixed),
            asked.select(unmixed),
            y=self.y,
            group=self.group,
            draws=draws,
            seed=seed,
        )

        def moved(fit: RunsFit, own: Worlds, centre: float) -> Floats:
            effect = fit.effect.draws(points, own)
            if self.repetition is None:
                return effect
            effect += self._at(fit, points, own, self.decay[own])
            effect -= self._at(fit, points, own, np.full(len(effect), centre))
            if fit is not self._fits[likely]:
                effect += self._centre(fit, points, centre)
                effect -= self._centre(self._fits[likely], points, middle)
            return effect

        logs = self._by_fit(slice(0, draws), len(points), moved)
        return replace(found, points=points, draws=found.draws * np.exp(logs))

    def _centre(self, fit: RunsFit, points: pl.DataFrame, decay: float) -> Floats:
        """Mean log result of a fit at a decay, shape (n,)."""
        found = self._at(fit, points, slice(None), np.full(self.worlds, decay))
        return np.asarray(found.mean(axis=0))

    def effect(self, points: pl.DataFrame) -> Floats:
        """Draws of what settings beside scale do to the log result, shape (worlds, n)."""
        return self._by_fit(
            slice(None), len(points), lambda fit, own, _: fit.effect.draws(points, own)
        )

    def cost_of_repeats(self, points: pl.DataFrame) -> Floats:
        """Draws of what it does to the log result that text repeats, shape (worlds, n)."""
        if self.repetition is None or not self.repetition.repeats(points).any():
            return np.zeros((self.worlds, len(points)))

        def cost(fit: RunsFit, own: Worlds, middle: float) -> Floats:
            fresh = fit.log_draws(points, own)
            return np.asarray(self._at(fit, points, own, self.decay[own]) - fresh)

        return self._by_fit(slice(None), len(points), cost)

    def worth_of_passes(self, points: pl.DataFrame) -> Floats:
        """Draws of the fresh passes that those over each token set are worth, (worlds, n, sets)."""
        assert self.repetition is not None
        return self.repetition.worth_of_passes(points, self.decay[:, None, None])

    def _fresh(self, runs: pl.DataFrame, decay: float) -> pl.DataFrame:
        """The runs with as many tokens as theirs were worth in worlds of a decay."""
        if self.repetition is None:
            return runs
        return self.repetition.of_runs().effective(runs, decay)

    def _decays(
        self, runs: pl.DataFrame, space: Space, seed: int, *, told: bool
    ) -> tuple[Floats, Places, list[float]]:
        """The decay of each world, which fit it belongs to, and the decay of each fit.

        Where the runs tell of the decay, its prior is weighed by their likelihood.
        """
        logs = -(GRID**2) / 2
        if told:
            seen = np.array([self._log_likelihood(runs, space, float(z), seed) for z in GRID])
            logs = logs + seen if np.isfinite(seen).any() else logs
        density = np.exp(logs - logs.max())
        below = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2))
        below /= below[-1]
        order = np.random.default_rng([seed, 13]).permutation(self.worlds)
        places = (order + 0.5) / self.worlds
        strata = STRATA if told else 1
        middles = np.interp((np.arange(strata) + 0.5) / strata, below, GRID)
        if strata > 1 and self._alike(runs, middles):
            strata, middles = 1, middles[[STRATA // 2]]
        return np.interp(places, below, GRID), (places * strata).astype(np.int64), middles.tolist()

    def _log_likelihood(self, runs: pl.DataFrame, space: Space, decay: float, seed: int) -> float:
        """Of the runs in worlds of a decay; none where it leaves no law to fit."""
        rng = np.random.default_rng([seed, 7])
        try:
            found = adjust(
                self._fresh(runs, decay), runs, space, y=self.y, group=self.group, worlds=1, rng=rng
            )
        except DesignError:
            return -np.inf
        return found.log_likelihood

    def _alike(self, runs: pl.DataFrame, decays: Floats) -> bool:
        """Whether the tokens of every run are worth much the same in worlds of all these decays."""
        assert self.repetition is not None
        worth = self.repetition.of_runs().worth(runs, decays)
        return bool((worth.min(axis=0) / worth.max(axis=0)).min() >= TOLD)

    def _by_fit(self, pick: slice, n: int, ask: Ask) -> Floats:
        """Answers of each fit in its own worlds, shape (worlds, n)."""
        if len(self._fits) == 1:
            return ask(self._fits[0], pick, self._middles[0])
        index = np.arange(self.worlds)[pick]
        found = np.empty((len(index), n))
        for k, (fit, middle) in enumerate(zip(self._fits, self._middles, strict=True)):
            mine = self._stratum[index] == k
            if mine.any():
                found[mine] = ask(fit, index[mine], middle)
        return found

    def _at(self, fit: RunsFit, points: pl.DataFrame, own: Worlds, decay: Floats) -> Floats:
        """Log results at the reference settings in worlds of a decay, shape (worlds, n).

        The log result bends little with the log of what tokens are worth: a few values between the
        most and the least they can be worth carry every world (Lagrange's polynomial).
        """
        if self.repetition is None or not (again := self.repetition.repeats(points)).any():
            return fit.log_draws(points, own)
        found = np.empty((len(decay), len(points)))
        span = np.zeros(len(points))
        part = points.filter(pl.Series(again))
        low, high = (np.log(self.repetition.worth(part, z)) for z in self._ends)
        span[again] = high - low
        for rows, nodes in (
            (~again, 0),
            (again & (span < WIDE), NODES),
            (again & (span >= WIDE), WIDE_NODES),
        ):
            part = points.filter(pl.Series(rows))
            if rows.any() and nodes:
                found[:, rows] = self._between(fit, part, own, decay, nodes)
            elif rows.any():
                found[:, rows] = fit.log_draws(part, own)
        return found

    def _between(
        self, fit: RunsFit, points: pl.DataFrame, own: Worlds, decay: Floats, nodes: int
    ) -> Floats:
        """The same, asked at so many worths between the least and the most."""
        assert self.repetition is not None
        low, high = (np.log(self.repetition.worth(points, z)) for z in self._ends)
        place = (np.log(self.repetition.worth(points, decay)) - low) / np.maximum(high - low, 1e-12)
        total = np.zeros_like(place)
        for k, node in enumerate(places := np.linspace(0.0, 1.0, nodes)):
            weight = np.ones_like(place)
            for other in np.delete(places, k):
                weight *= (place - other) / (node - other)
            there = at_share(points, pl.Series(np.exp(low + node * (high - low))))
            total += weight * fit.log_draws(there, own)
        return np.asarray(total)
