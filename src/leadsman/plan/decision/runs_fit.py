"""What runs say, in the worlds of one decay of repeated text: laws by series, effects of settings.

Settings and laws are fitted in turn: the effect of settings on what the laws leave over, the laws
on the runs with that effect taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import qmc

from leadsman.laws import forecast_runs
from leadsman.plan.decision.effects import SettingsEffect
from leadsman.plan.decision.series import SCALE, Series, fit_laws
from leadsman.plan.decision.space import Floats, Space, Worlds

ANCHORS = 40
BACKFITS = 2
LEAST_NOISE = 3e-4
SPENT = 5
"""Parameters that a law of one series takes from the runs."""


@dataclass(frozen=True)
class Adjusted:
    """Runs with the effect of settings taken out.

    Attributes:
        runs: the table, ``y`` as it would be at the reference settings.
        effect: of settings on the log result.
        misfit: squared log residuals that laws and settings leave, summed.
        freedom: how many of them are not spent on laws.
    """

    runs: pl.DataFrame
    effect: SettingsEffect
    misfit: float
    freedom: int

    @property
    def log_likelihood(self) -> float:
        """Of the runs, the variance of their noise integrated out."""
        return float(-self.freedom / 2 * np.log(self.misfit + self.freedom * LEAST_NOISE**2))


def adjust(
    runs: pl.DataFrame,
    read: pl.DataFrame,
    space: Space,
    *,
    y: str,
    group: str | None,
    worlds: int,
    rng: np.random.Generator,
) -> Adjusted:
    """Take the effect of settings out of runs.

    Args:
        runs: with as many tokens as theirs were worth: laws act on these.
        read: the same with the tokens they read: settings act on these.
        space, y, group, worlds: as of :class:`~leadsman.plan.decision.BeliefOfRuns`.
        rng: of the draws of effects.
    """
    effect = SettingsEffect(space, skip=(*SCALE, *([group] if group else [])))
    logs = np.log(runs[y].to_numpy().astype(np.float64))
    effect.fit(read, np.zeros(len(runs)), worlds=worlds, rng=rng)
    adjusted, curve = runs, _law_curve(runs, y, group)
    for _ in range(BACKFITS if effect.varies else 0):
        effect.fit(read, logs - curve, worlds=worlds, rng=rng)
        adjusted = runs.with_columns(pl.Series(y, np.exp(logs - effect.mean(read))))
        curve = _law_curve(adjusted, y, group)
    left = np.log(adjusted[y].to_numpy().astype(np.float64)) - curve
    spent = SPENT * (1 if group is None else runs[group].n_unique())
    return Adjusted(adjusted, effect, float((left**2).sum()), max(len(left) - spent, 1))


def _law_curve(runs: pl.DataFrame, y: str, group: str | None) -> Floats:
    """Log of the first law that fits, at the runs themselves, series by series."""
    curve = np.empty(len(runs))
    keys = np.zeros(len(runs)) if group is None else runs[group].to_numpy()
    for key in dict.fromkeys(keys.tolist()):
        rows = np.flatnonzero(keys == key)
        part = runs[rows.tolist()]
        curve[rows] = np.log(fit_laws(part, y, 0, most=1)[0].curve(part))
    return curve


class RunsFit:
    """Laws and effects fitted on a table of runs.

    Attributes:
        adjusted: the runs without their settings, the effect of which is taken out of ``y``.
        effect: of settings on the log result.
        law, warnings: of the forecast behind it.
        noise: standard deviation of the log of a single run.

    Args:
        runs, read, space, y, group, worlds: as of :func:`adjust`.
        seed: of the draws.

    Raises:
        DesignError: the runs of a series cannot carry a law.
    """

    def __init__(
        self,
        runs: pl.DataFrame,
        read: pl.DataFrame,
        space: Space,
        *,
        y: str,
        group: str | None,
        worlds: int,
        seed: int,
    ) -> None:
        self._group, self._worlds = group, worlds
        rng = np.random.default_rng([seed, 7])
        found = adjust(runs, read, space, y=y, group=group, worlds=worlds, rng=rng)
        settings = [name for name in space.dimensions if name not in (*SCALE, group)]
        self.effect, self.adjusted = found.effect, found.runs.drop(settings, strict=False)
        self.noise = float(np.sqrt(found.misfit / found.freedom) + LEAST_NOISE)
        shared = rng.standard_normal(worlds)
        names = [None] if group is None else list(dict.fromkeys(runs[group].to_list()))
        wanted = _choices(space, group)
        kept = [name for name in names if wanted is None or name in wanted]
        anchors = _anchors(self.adjusted, space, seed)
        parts, self.law, self.warnings = _forecast(
            self.adjusted, anchors, kept, y=y, group=group, seed=seed
        )
        self._series = {
            name: Series(
                self.adjusted if name is None else self.adjusted.filter(pl.col(str(group)) == name),
                anchors,
                parts[name],
                y=y,
                common=(shared + rng.standard_normal(worlds)) / np.sqrt(2),
                seed=seed,
            )
            for name in kept
        }

    def log_draws(self, points: pl.DataFrame, pick: Worlds) -> Floats:
        """Logs of results at the reference settings, shape (worlds, n)."""
        if self._group is None:
            return self._series[None].log_draws(points, pick)
        names = points[self._group].to_numpy()
        found = np.empty((len(np.arange(self._worlds)[pick]), len(points)))
        for name in dict.fromkeys(names.tolist()):
            rows = np.flatnonzero(names == name)
            found[:, rows] = self._series[name].log_draws(points[rows.tolist()], pick)
        return found


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
