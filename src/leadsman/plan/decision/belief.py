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
text, what they say depends on the decay: laws and effects are then fitted once in each of
``STRATA`` equally likely parts of its prior, and a part has as many worlds as its fit makes likely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import polars as pl
from scipy.special import ndtri

from leadsman.laws import Forecast, forecast_runs
from leadsman.plan.decision.repetition import Repetition
from leadsman.plan.decision.runs_fit import LEAST_NOISE, RunsFit
from leadsman.plan.decision.space import Floats, Space, Worlds, at_share

STRATA = 3
TOLD = 0.98
"""Worth of a token of the runs, in a world of fast decay, below which they tell of the decay."""
FAST = -1.28

Ask = Callable[[RunsFit, Worlds, float], Floats]
"""An answer of one fit in worlds of its own, given the middle of its part of the prior."""


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
        middles = _middles(runs, repetition)
        self._middles = middles
        self._fits = [
            RunsFit(
                runs if repetition is None else repetition.of_runs().effective(runs, middle),
                runs,
                space,
                y=y,
                group=group,
                worlds=worlds,
                seed=seed,
            )
            for middle in middles
        ]
        chances = _chances(self._fits)
        self.decay, self._stratum = _decays(chances, worlds, seed)
        self._ends = float(self.decay.min()), float(self.decay.max())
        likely = self._fits[int(np.argmax(chances))]
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
        made: list[Forecast] = []

        def drawn(fit: RunsFit, own: Worlds, middle: float) -> Floats:
            asked, moved = points, fit.effect.draws(points, own)
            if self.repetition is not None:
                asked = self.repetition.effective(points, middle)
                decay = self.decay[own]
                moved += self._at(fit, points, own, decay)
                moved -= self._at(fit, points, own, np.full(len(decay), middle))
            found = forecast_runs(
                fit.adjusted, asked, y=self.y, group=self.group, draws=draws, seed=seed
            )
            made.append(found)
            return np.asarray(found.draws[own] * np.exp(moved))

        values = self._by_fit(slice(0, draws), len(points), drawn)
        return replace(made[len(made) // 2], points=points, draws=values)

    def effect(self, points: pl.DataFrame) -> Floats:
        """Draws of what settings beside scale do to the log result, shape (worlds, n)."""
        return self._by_fit(
            slice(None), len(points), lambda fit, own, _: fit.effect.draws(points, own)
        )

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

        The log result bends little with the log of what tokens are worth: three values between the
        most and the least they can be worth carry every world.
        """
        if self.repetition is None or not (again := self.repetition.repeats(points)).any():
            return fit.log_draws(points, own)
        found = np.empty((len(decay), len(points)))
        fresh, rows = np.flatnonzero(~again).tolist(), np.flatnonzero(again).tolist()
        if fresh:
            found[:, fresh] = fit.log_draws(points[fresh], own)
        part = points[rows]
        low, high = (np.log(self.repetition.worth(part, z)) for z in self._ends)
        place = (np.log(self.repetition.worth(part, decay)) - low) / np.maximum(high - low, 1e-12)
        three = [
            fit.log_draws(at_share(part, pl.Series(np.exp(low + t * (high - low)))), own)
            for t in (0.0, 0.5, 1.0)
        ]
        found[:, rows] = (
            three[0] * (2 * place - 1) * (place - 1)
            + three[1] * 4 * place * (1 - place)
            + three[2] * place * (2 * place - 1)
        )
        return found


def _middles(runs: pl.DataFrame, repetition: Repetition | None) -> list[float]:
    """Middles of the parts of the prior in which the runs are fitted apart."""
    if repetition is None or repetition.of_runs().worth(runs, FAST).min() >= TOLD:
        return [0.0]
    return [float(each) for each in ndtri((np.arange(STRATA) + 0.5) / STRATA)]


def _chances(fits: Sequence[RunsFit]) -> Floats:
    """How likely each part of the prior is once the runs are seen, by what it does not explain."""
    freedom = fits[0].freedom
    left = np.array([fit.misfit + freedom * LEAST_NOISE**2 for fit in fits])
    logs = -freedom / 2 * np.log(left)
    chances = np.exp(logs - logs.max())
    return np.asarray(chances / chances.sum())


def _decays(
    chances: Floats, worlds: int, seed: int
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The decay of each world, and the part of the prior it lies in."""
    order = np.random.default_rng([seed, 13]).permutation(worlds)
    edges = np.arange(len(chances) + 1) / len(chances)
    places = np.interp((order + 0.5) / worlds, np.append(0.0, np.cumsum(chances)), edges)
    parts = np.minimum((places * len(chances)).astype(np.int64), len(chances) - 1)
    return np.asarray(ndtri(places)), parts
