"""The small runs that try settings: one a departure, around the first choice.

Each run has a twin on the ladder: the same mixture, shape, tokens and seed at the reference
settings, so the two differ in one setting alone. The shape is the ladder's nearest to the first
choice, and the length the longest of the ladder at which all departures together stay within their
share of its compute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from leadsman.plan.settings.axes import ADD, Axes, Departure
from leadsman.runs import Recipe
from leadsman.train.ladder.job import trunk_tokens


@dataclass(frozen=True)
class SettingRuns:
    """What will be tried.

    Attributes:
        recipes: by departure.
        twin: the run of the ladder that each is compared with.
        left_out: departures that the share of compute does not pay for.
    """

    recipes: dict[Departure, Recipe]
    twin: Recipe
    left_out: tuple[Departure, ...]


def setting_runs(
    axes: Axes, ladder: Sequence[Recipe], chosen: Recipe, *, share: float, first: Sequence[str] = ()
) -> SettingRuns:
    """Design the runs.

    Args:
        axes: with the departures.
        ladder: the soundings at the reference settings.
        chosen: the best option so far.
        share: most compute, as a share of the ladder's.
        first: sources to try before all else (those with a price).
    """
    series = _nearest_series(ladder, chosen)
    wanted = [each for each in axes.departures if _applies(each, axes, chosen)]
    wanted.sort(key=lambda each: each.axis.removeprefix(ADD) not in first)
    limit = share * compute_of(ladder)
    paid = [each for each in series if len(wanted) * each.flops <= limit]
    twin = paid[-1] if paid else series[0]
    count = min(len(wanted), max(int(limit / twin.flops), len(first)))
    recipes = {each: axes.moved(twin, {each.axis: each.value}) for each in wanted[:count]}
    return SettingRuns(recipes, twin, tuple(wanted[count:]))


def _nearest_series(ladder: Sequence[Recipe], chosen: Recipe) -> list[Recipe]:
    """Runs of the mixture at the ladder's size nearest to a recipe, the shortest first."""
    params = chosen.shape.non_embedding_params
    series = sorted(
        (each for each in ladder if each.mixture.name == chosen.mixture.name),
        key=lambda each: (abs(math.log(each.shape.non_embedding_params / params)), each.tokens),
    )
    return [each for each in series if each.shape == series[0].shape]


def longest_departed(axes: Axes, done: Iterable[Recipe]) -> list[Recipe]:
    """Of each setting that was tried, the longest run."""
    longest: dict[str, Recipe] = {}
    for recipe in done:
        if axes.departed(recipe):
            known = longest.get(recipe.trunk_id, recipe)
            longest[recipe.trunk_id] = max(known, recipe, key=lambda each: each.tokens)
    return list(longest.values())


def longer(axes: Axes, done: Sequence[Recipe]) -> list[Recipe]:
    """Each setting run at twice its length: what could be asked next."""
    return [replace(each, tokens=2 * each.tokens) for each in longest_departed(axes, done)]


def compute_of(recipes: Sequence[Recipe]) -> float:
    """FLOPs of recipes made together: those of one series branch off the longest."""
    series: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        series.setdefault(recipe.trunk_id, []).append(recipe)
    return sum(trunk_tokens(each) * each[0].shape.train_flops_per_token for each in series.values())


def _applies(departure: Departure, axes: Axes, chosen: Recipe) -> bool:
    """Whether a departure changes this mixture: a selection rate says nothing of ``natural``, and
    what a series fixes stays.
    """
    if departure.axis in axes.fixed.get(chosen.mixture.name, {}):
        return False
    return axes.moved(chosen, {departure.axis: departure.value}) != chosen
