"""The belief behind a plan: joint draws over size, tokens, mixture and the settings tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from leadsman.errors import DesignError
from leadsman.plan.decision import BeliefOfRuns, BeliefOfWays, Dimension, Space, Way
from leadsman.plan.decision.repetition import Repetition
from leadsman.plan.decision.ways import SIZE
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.reads import PointReads
from leadsman.plan.settings.settle import setting_dimensions
from leadsman.runs import Recipe

WORLDS = 4000
APART = 101
"""Between the seeds of beliefs that share nothing."""


def belief_of_soundings(
    table: pl.DataFrame,
    options: Sequence[Recipe],
    axes: Axes,
    tokens: Mapping[str, Any],
    *,
    y: str,
    seed: int,
) -> BeliefOfWays:
    """Joint draws from soundings, out to the options.

    Each given model that is weighed has a belief of its own beside that of fresh starts.

    Args:
        table: finished soundings (:meth:`leadsman.plan.settings.axes.Axes.table`).
        options: what may be chosen in the end, at the reference settings.
        axes: with the departures that the table holds.
        tokens: result of the tokenise stage: ``sets``, which the soundings read, and ``full``, the
            full size of each, which the options do.
        y: column that is minimised.
        seed: of the draws.

    Raises:
        DesignError: the soundings cannot carry a law.
    """
    points = axes.points(options)
    known, asked = (
        [axes.ways.get(name, "") for name in each["mixture"]] for each in (table, points)
    )
    silent = next((way for way in asked if way not in known), None)
    if silent is not None:
        raise DesignError(
            f"no run of {silent or 'a fresh start'} finished; see `leadsman runs ls` for why"
        )
    ways = []
    for number, label in enumerate(sorted(set(known))):  # fresh starts first
        runs = table.filter(pl.Series([way == label for way in known]))
        groups = frozenset(runs["mixture"].to_list())
        repetition = _repetition(axes, tokens, float(runs["params"][0]))
        if label:
            runs = runs.drop(SIZE)
        mine = points.filter(pl.Series([way == label for way in asked]))
        own = _belief(runs, mine, axes, repetition, y=y, seed=seed + APART * number)
        ways.append(Way(own, groups, label, one_size=bool(label)))
    return BeliefOfWays(ways, group="mixture")


def _belief(
    table: pl.DataFrame,
    points: pl.DataFrame,
    axes: Axes,
    repetition: Repetition,
    *,
    y: str,
    seed: int,
) -> BeliefOfRuns:
    scale = [name for name in ("params", "tokens") if name in table.columns]
    both = pl.concat([points.select(scale), table.select(scale)])
    dimensions = {
        name: Dimension(low=both[name].min() * 0.999, high=both[name].max() * 1.001)  # type: ignore[operator]
        for name in scale
    }
    asked = points if len(points) else table  # limits may have left none of these
    mixtures = tuple(dict.fromkeys(asked["mixture"].to_list()))
    space = Space(dimensions | {"mixture": Dimension(choices=mixtures)} | setting_dimensions(axes))
    return BeliefOfRuns(
        table, space, y=y, group="mixture", repetition=repetition, worlds=WORLDS, seed=seed
    )


def _repetition(axes: Axes, tokens: Mapping[str, Any], params: float) -> Repetition:
    """What repeats are worth; ``params`` of a given model, whose points tell no size."""
    readable = {name: float(each["tokens"]) for name, each in tokens["sets"].items()}
    full = PointReads(axes, tokens.get("full", readable))
    return Repetition(full, sounded=PointReads(axes, readable), params=params)
