"""The belief behind a plan: joint draws over size, tokens, mixture and the settings tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from leadsman.plan.decision import BeliefOfRuns, Dimension, Space
from leadsman.plan.decision.repetition import Repetition
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.reads import PointReads
from leadsman.plan.settings.settle import setting_dimensions
from leadsman.runs import Recipe

WORLDS = 4000


def belief_of_soundings(
    table: pl.DataFrame,
    options: Sequence[Recipe],
    axes: Axes,
    tokens: Mapping[str, Any],
    *,
    y: str,
    seed: int,
) -> BeliefOfRuns:
    """Joint draws from soundings, out to the options.

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
    both = pl.concat([points.select("params", "tokens"), table.select("params", "tokens")])
    dimensions = {
        name: Dimension(low=both[name].min() * 0.999, high=both[name].max() * 1.001)  # type: ignore[operator]
        for name in ("params", "tokens")
    }
    mixtures = tuple(dict.fromkeys(points["mixture"].to_list()))
    space = Space(dimensions | {"mixture": Dimension(choices=mixtures)} | setting_dimensions(axes))
    readable = {name: float(each["tokens"]) for name, each in tokens["sets"].items()}
    repetition = Repetition(
        PointReads(axes, tokens.get("full", readable)), sounded=PointReads(axes, readable)
    )
    return BeliefOfRuns(
        table, space, y=y, group="mixture", repetition=repetition, worlds=WORLDS, seed=seed
    )
