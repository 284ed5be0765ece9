"""What is believed about results at settings not yet run: joint draws over any points.

A belief answers for many points at once, again and again, and position ``k`` is the same world in
every answer: only so can choices be compared. Over scale (params, tokens), a world is one draw of
the parameters of one law; its centre and spread are moved to those of
:func:`leadsman.laws.forecast_runs`, so intervals are the checked ones and the shape of a world is
that of a law. Other settings (lr, batch, shares of a mixture, rates) act on the log result through
a quadratic whose coefficients are learned from the runs with their uncertainty
(:mod:`leadsman.plan.decision.effects`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import polars as pl
from scipy.stats import qmc

from leadsman.laws import Forecast, forecast_runs
from leadsman.plan.decision.effects import SettingsEffect
from leadsman.plan.decision.series import SCALE, Series, fit_laws
from leadsman.plan.decision.space import Floats, Space

ANCHORS = 40
BACKFITS = 2
LEAST_NOISE = 3e-4


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
        adjusted: the runs with the effect of settings taken out of ``y``.
        fixed: settings no run varies, and the value they must be held at.
        law, warnings: of the forecast behind it.

    Args:
        runs: finished runs.
        space: what may be chosen; its scale columns give the region the forecast is asked about.
        y: column to predict.
        group: column of names that split the runs into series (mixtures); ``None`` for one series.
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
        worlds: int = 10_000,
        seed: int = 0,
    ) -> None:
        self.y, self.worlds, self.group = y, worlds, group
        rng = np.random.default_rng([seed, 7])
        self._effect, adjusted = self._settings(runs, space, rng)
        self.adjusted = adjusted
        self.fixed = self._effect.constant
        shared = rng.standard_normal(worlds)
        names = [None] if group is None else list(dict.fromkeys(runs[group].to_list()))
        wanted = _choices(space, group)
        kept = [name for name in names if wanted is None or name in wanted]
        anchors = _anchors(adjusted, space, seed)
        settings = [name for name in space.dimensions if name not in (*SCALE, group)]
        scaled = adjusted.drop(settings, strict=False)
        forecast = _forecast(scaled, anchors, kept, y=y, group=group, seed=seed)
        self.law, self.warnings = forecast[1], forecast[2]
        self.noise = self._noise(adjusted)
        self._series = {
            name: Series(
                adjusted if name is None else adjusted.filter(pl.col(str(group)) == name),
                anchors,
                forecast[0][name],
                y=y,
                common=(shared + rng.standard_normal(worlds)) / np.sqrt(2),
                seed=seed,
            )
            for name in kept
        }

    def draws(self, points: pl.DataFrame, worlds: slice | None = None) -> Floats:
        """Results without the noise of a single run, shape (worlds, n)."""
        pick = worlds if worlds is not None else slice(None)
        logs = self._effect.draws(points, pick)
        if self.group is None:
            return np.asarray(np.exp(logs + self._series[None].log_draws(points, pick)))
        names = points[self.group].to_numpy()
        for name in dict.fromkeys(names.tolist()):
            rows = np.flatnonzero(names == name)
            logs[:, rows] += self._series[name].log_draws(points[rows.tolist()], pick)
        return np.asarray(np.exp(logs))

    def forecast(self, points: pl.DataFrame, *, draws: int, seed: int) -> Forecast:
        """What single runs at ``points`` will give: :func:`leadsman.laws.forecast_runs` on the
        adjusted runs, moved by the effect of settings with its uncertainty.

        Args:
            points: columns as for :meth:`draws`.
            draws: from the predictive distribution, at most ``worlds``.
            seed: of the draws.
        """
        found = forecast_runs(
            self.adjusted, points, y=self.y, group=self.group, draws=draws, seed=seed
        )
        effect = self._effect.draws(points, slice(0, draws))
        return replace(found, draws=found.draws * np.exp(effect))

    def effect(self, points: pl.DataFrame) -> Floats:
        """Draws of what settings beside scale do to the log result, shape (worlds, n)."""
        return self._effect.draws(points, slice(None))

    @property
    def effect_sd(self) -> float:
        """How large the effect of a setting on the log result is here, before it is tried."""
        return self._effect.prior_sd

    def _settings(
        self, runs: pl.DataFrame, space: Space, rng: np.random.Generator
    ) -> tuple[SettingsEffect, pl.DataFrame]:
        """The effect of settings, and the runs with it taken out of ``y``."""
        effect = SettingsEffect(space, skip=(*SCALE, *([self.group] if self.group else [])))
        log_y = np.log(runs[self.y].to_numpy().astype(np.float64))
        effect.fit(runs, np.zeros(len(runs)), worlds=self.worlds, rng=rng)
        adjusted = runs
        if not effect.varies:
            return effect, runs
        for _ in range(BACKFITS):
            residual = log_y - self._law_curve(adjusted)
            effect.fit(runs, residual, worlds=self.worlds, rng=rng)
            adjusted = runs.with_columns(pl.Series(self.y, np.exp(log_y - effect.mean(runs))))
        return effect, adjusted

    def _noise(self, runs: pl.DataFrame) -> float:
        """Scatter of the log of single runs around the best law: what one more run would show."""
        residual = np.log(runs[self.y].to_numpy().astype(np.float64)) - self._law_curve(runs)
        spent = 5 * (1 if self.group is None else runs[self.group].n_unique())
        return float(np.sqrt((residual**2).sum() / max(len(residual) - spent, 1)) + LEAST_NOISE)

    def _law_curve(self, runs: pl.DataFrame) -> Floats:
        """Log of the first law that fits, at the runs themselves, series by series."""
        curve = np.empty(len(runs))
        keys = np.zeros(len(runs)) if self.group is None else runs[self.group].to_numpy()
        for key in dict.fromkeys(keys.tolist()):
            rows = np.flatnonzero(keys == key)
            part = runs[rows.tolist()]
            curve[rows] = np.log(fit_laws(part, self.y, 0)[0].curve(part))
        return curve


def _forecast(
    runs: pl.DataFrame,
    anchors: pl.DataFrame,
    names: Sequence[str | None],
    *,
    y: str,
    group: str | None,
    seed: int,
) -> tuple[dict[str | None, tuple[Floats, Floats]], str, tuple[str, ...]]:
    """Centre and spread of the log forecast at the anchors, by series; law; warnings."""
    asked = [
        anchors if name is None else anchors.with_columns(pl.lit(name).alias(str(group)))
        for name in names
    ]
    inputs = [name for name in SCALE if name in anchors.columns]
    forecast = forecast_runs(
        runs, pl.concat(asked), y=y, x=inputs, group=group, draws=400, seed=seed
    )
    logs = np.log(forecast.draws)
    low, centre, high = np.quantile(logs, [0.16, 0.5, 0.84], axis=0)
    size = len(anchors)
    parts = {
        name: (centre[k * size : (k + 1) * size], (high - low)[k * size : (k + 1) * size] / 2)
        for k, name in enumerate(names)
    }
    # What is said of every anchor is about the runs; the rest is about an anchor nobody chose.
    everywhere = set(forecast.warnings[0]).intersection(*forecast.warnings)
    said = tuple(each for each in forecast.warnings[0] if each in everywhere)
    return parts, forecast.law, said


def _anchors(runs: pl.DataFrame, space: Space, seed: int) -> pl.DataFrame:
    """Points spread over the scale columns of the space and the runs, in log."""
    names = [name for name in SCALE if name in runs.columns and name in space_columns(space, runs)]
    sobol = qmc.Sobol(len(names), seed=seed).random(64)[:ANCHORS]
    columns = {}
    for k, name in enumerate(names):
        low, high = float(runs[name].min()), float(runs[name].max())  # type: ignore[arg-type]
        dimension = space.dimensions.get(name)
        if dimension is not None and dimension.low is not None and dimension.high is not None:
            low, high = min(low, dimension.low), max(high, dimension.high)
        columns[name] = np.exp(np.log(low) + sobol[:, k] * (np.log(high) - np.log(low)))
    return pl.DataFrame(columns)


def space_columns(space: Space, runs: pl.DataFrame) -> set[str]:
    """Scale columns that matter: chosen, or (params, tokens) always."""
    return ({"params", "tokens"} | set(space.dimensions)) & set(runs.columns)


def _choices(space: Space, group: str | None) -> tuple[str, ...] | None:
    dimension = space.dimensions.get(group) if group else None
    return None if dimension is None else dimension.choices
