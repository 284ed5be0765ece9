"""From a forecast to a decision: which mixture and which size, at a given compute.

Every option spends the whole budget: ``tokens = budget / flops_per_token(shape)``. The options are
all (mixture, shape) pairs that can be trained, so the choice among them is exact: the one with the
lowest expected result (or quantile of it) over the forecast's draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.errors import BudgetError
from leadsman.humanize import ON, way_and_mixture
from leadsman.laws import Forecast
from leadsman.plan.decision import Belief, Objective
from leadsman.plan.decision.space import at_share
from leadsman.plan.plan import Option, Plan, Saving
from leadsman.runs import Recipe, RegisteredForecast

Predict = Callable[[pl.DataFrame], Forecast]
"""Forecast at points with columns ``params, tokens, flops, mixture``; draws are joint."""

Columns = Callable[[Sequence[Recipe]], pl.DataFrame]
"""Recipes as points, one row each."""

SAVING_GRID = np.geomspace(1 / 32, 1.0, 41)


def decide(
    options: Sequence[Recipe],
    predict: Predict,
    *,
    budget_flops: float,
    sounding_flops: float,
    fitted_on: Sequence[str],
    created: str,
    objective: Objective | None = None,
    belief: Belief | None = None,
    columns: Columns | None = None,
    label: Callable[[Recipe], str] = lambda recipe: recipe.mixture.name,
) -> Plan:
    """Choose among recipes that all cost ``budget_flops``.

    Args:
        options: recipes to choose from; at least one has the mixture ``natural``.
        predict: the forecast.
        budget_flops: what each option may cost, in training FLOPs.
        sounding_flops: what the small runs cost (reported, not used).
        fitted_on: ids of the runs behind the forecast.
        created: ISO 8601 time put on the forecasts.
        objective: what is minimised over the forecast's draws; the mean by default.
        belief: joint draws for the probability that an option is best; the forecast's by default.
        columns: the points of recipes; :func:`points_of` by default.
        label: what a person calls the data and settings of a recipe.

    Raises:
        BudgetError: there is no option.
    """
    if not options:
        raise BudgetError(f"no model on the ladder can be trained with {budget_flops:.3g} FLOPs")
    columns = columns or points_of
    forecast = predict(columns(options))
    joint = forecast.draws if belief is None else belief.draws(columns(options))
    best_in_draw = np.bincount(joint.argmin(axis=1), minlength=len(options))
    value = (objective or Objective()).of(forecast.draws)
    weighed = [
        Option(
            recipe=recipe,
            forecast=RegisteredForecast.from_draws(
                recipe.id,
                forecast.draws[:, column],
                y=forecast.y,
                law=forecast.law,
                warnings=forecast.warnings[column] if forecast.warnings else (),
                fitted_on=tuple(fitted_on),
                created=created,
            ),
            probability_best=float(best_in_draw[column] / len(joint)),
            label=label(recipe),
        )
        for column, recipe in enumerate(options)
    ]
    values = {id(option): float(each) for option, each in zip(weighed, value, strict=True)}
    ranked = sorted(weighed, key=lambda option: (values[id(option)], option.recipe.id))
    chosen = ranked[0]
    naive = _naive(ranked, chosen)
    return Plan(
        y=forecast.y,
        budget_flops=budget_flops,
        chosen=chosen,
        naive=naive,
        alternatives=tuple(option for option in ranked[1:] if option is not naive),
        saving=None if naive is chosen else _saving(chosen.recipe, naive.recipe, predict, columns),
        sounding_flops=sounding_flops,
    )


def points_of(recipes: Sequence[Recipe]) -> pl.DataFrame:
    """The columns a law reads, one row a recipe."""
    return pl.DataFrame(
        {
            "params": [float(recipe.shape.non_embedding_params) for recipe in recipes],
            "tokens": [float(recipe.steps * recipe.batch_tokens) for recipe in recipes],
            "flops": [recipe.flops for recipe in recipes],
            "mixture": [recipe.mixture.name for recipe in recipes],
        }
    )


def _naive(ranked: Sequence[Option], chosen: Option) -> Option:
    """The natural mixture at the chosen size and from the same weights: the two differ in data, and
    in settings if these were chosen. The choice itself where a limit rules the natural mixture out.
    """
    way = way_and_mixture(chosen.recipe.mixture.name, chosen.recipe.start)[0]
    names = [f"{way}{ON}natural"] if way else ["natural"]
    natural = [option for option in ranked if option.recipe.mixture.name in names]
    same_shape = [option for option in natural if option.recipe.shape == chosen.recipe.shape]
    return (same_shape or natural or [chosen])[0]


def _saving(chosen: Recipe, naive: Recipe, predict: Predict, columns: Columns) -> Saving:
    """How much less compute the chosen recipe needs for the naive one's result.

    The chosen recipe is predicted over a grid of token counts; within each draw, the grid is
    made monotone and crossed with the naive result of the same draw.
    """
    full = columns([chosen])
    grid = pl.concat([at_share(full, share) for share in SAVING_GRID])
    forecast = predict(pl.concat([grid, columns([naive])]))
    shares = np.array(
        [_crossing(draw[:-1], float(draw[-1])) for draw in forecast.draws], dtype=np.float64
    )
    low, middle, high = np.quantile(1 - shares, [0.1, 0.5, 0.9])
    return Saving(
        fraction=float(middle),
        low=float(low),
        high=float(high),
        censored=bool(np.median(shares) <= SAVING_GRID[0]),
    )


def _crossing(results: npt.NDArray[np.float64], wanted: float) -> float:
    """The share of compute at which a falling curve reaches ``wanted``, 1 where it never does.

    >>> curve = np.linspace(2.0, 1.0, len(SAVING_GRID))
    >>> bool(_crossing(curve, 2.5) == SAVING_GRID[0]), _crossing(curve, 1.0), _crossing(curve, 0.9)
    (True, 1.0, 1.0)
    """
    falling = np.minimum.accumulate(results)
    if wanted >= falling[0]:
        return float(SAVING_GRID[0])
    if wanted <= falling[-1]:
        return 1.0
    return float(np.exp(np.interp(-wanted, -falling, np.log(SAVING_GRID))))
