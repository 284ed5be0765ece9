"""Options at other levels of compute: the front, the page's draws, what would flip the choice.

An option at a level is its recipe with that share of its compute, by fewer or more tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from leadsman.humanize import count
from leadsman.plan.account.cost import cost_of
from leadsman.plan.decision import Belief
from leadsman.plan.decision.space import Floats, at_share
from leadsman.plan.inference import ServingSpec
from leadsman.plan.project import Project
from leadsman.plan.settings.axes import Axes
from leadsman.plan.settings.settle import Settled
from leadsman.plan.soundings import serve_flops
from leadsman.runs import Recipe

LEVELS = 24
LOWEST, HIGHEST = 1 / 30, 3.0
STORED_WORLDS = 200
FLIP_WORLDS = slice(0, 1000)
SERVED_SHARES = np.geomspace(0.02, 0.9, 12)
"""Shares of the budget that serving is tried to take."""


def level_points(
    options: Sequence[Recipe], axes: Axes, lowest: float, highest: float, levels: int
) -> pl.DataFrame:
    """Every option at levels of compute around its own."""
    shares = np.geomspace(lowest, highest, levels).tolist()
    rows = []
    for recipe in options:
        row, label = axes.row(recipe), axes.label(recipe)
        for share in shares:
            scale = {
                "tokens": float(row["tokens"]) * share,
                "flops": recipe.flops * share,
                "level": share,
                "label": label,
                "width": recipe.shape.width,
                "total_params": float(recipe.shape.params),
            }
            rows.append(row | scale)
    return pl.DataFrame(rows)


def pareto_of(
    project: Project, options: Sequence[Recipe], axes: Axes, belief: Belief
) -> list[dict[str, Any]]:
    """The best option at each level of compute up to the budget."""
    curves = level_points(options, axes, LOWEST, 1.0, LEVELS)
    draws = belief.draws(curves)
    means = draws.mean(axis=0)
    front: list[dict[str, Any]] = []
    for level in sorted(set(curves["level"].to_list())):
        rows = np.flatnonzero(curves["level"].to_numpy() == level)
        row = int(rows[means[rows].argmin()])
        low, median, high = (float(v) for v in np.quantile(draws[:, row], [0.1, 0.5, 0.9]))
        if not front or median < front[-1]["median"]:
            point = curves.row(row, named=True)
            money = cost_of(project, point["flops"], point["precision"])["money"]
            front.append(
                {name: point[name] for name in ("flops", "params", "tokens")}
                | {
                    "mixture": point["label"],
                    "money": money,
                    "median": median,
                    "low": low,
                    "high": high,
                }
            )
    return front


def stored_draws(
    project: Project,
    options: Sequence[Recipe],
    axes: Axes,
    belief: Belief,
    settled: Settled,
    means: Mapping[str, float],
) -> pl.DataFrame:
    """The table of ``plan_draws.parquet``.

    Few worlds are stored: each option's are scaled so that at its own compute their mean is the
    forecast's (``means``, by recipe), and the page starts at the plan. FLOPs are those that the
    budget pays at its own speed, where a precision is faster or slower.
    """
    points = level_points(options, axes, LOWEST, HIGHEST, LEVELS)
    spec = project.serving or ServingSpec(tokens=1.0)
    by_size = {float(each.shape.params): serve_flops(each.shape, spec) for each in options}
    draws = _aligned(belief.draws(points, slice(0, STORED_WORLDS)), [means[o.id] for o in options])
    kept = ("mixture", "width", "params", "total_params", "tokens", "flops")
    pairs = points.select("mixture", "label").iter_rows()
    settings = ["" if label == mixture else label for mixture, label in pairs]
    data_flops = project.budget.total_flops - settled.budget_flops
    dearer = [project.budget.dearer(each) for each in points["precision"]]
    return points.select(kept).with_columns(
        flops=points["flops"] * pl.Series(dearer),
        settings=pl.Series(settings),
        data_flops=pl.Series([data_flops if each else 0.0 for each in settings]),
        serve_flops_per_token=pl.Series([by_size[size] for size in points["total_params"]]),
        draws=pl.Series(draws.T.astype(np.float32).tolist(), dtype=pl.List(pl.Float32)),
    )


def _aligned(draws: Floats, means: Sequence[float]) -> Floats:
    """Draws of options at levels, shape (worlds, options * levels), scaled to means at level 1."""
    curves = draws.reshape(len(draws), len(means), LEVELS)
    logs = np.linspace(np.log(LOWEST), np.log(HIGHEST), LEVELS)
    place = int(np.searchsorted(logs, 0.0)) - 1
    part = -logs[place] / (logs[place + 1] - logs[place])
    at_one = (1 - part) * curves[:, :, place] + part * curves[:, :, place + 1]
    scale = np.asarray(means) / at_one.mean(axis=0)
    return np.asarray((curves * scale[None, :, None]).reshape(draws.shape))


def would_change(
    project: Project, options: Sequence[Recipe], axes: Axes, belief: Belief, chosen: int
) -> list[dict[str, Any]]:
    """The nearest budgets and serving volume at which another choice is best, and the runner-up.

    Returns:
        ``{what, text}`` each, with ``at`` and ``then`` where a number says when.
    """
    found = _other_budgets(project, options, axes, belief, chosen)
    found += _served_volume(project, options, axes, belief, chosen)
    return found + _runner_up(project, options, axes, belief, chosen)


def _other_budgets(
    project: Project, options: Sequence[Recipe], axes: Axes, belief: Belief, chosen: int
) -> list[dict[str, Any]]:
    """The first level down and up at which the data or the settings of the best option differ."""
    points = level_points(options, axes, LOWEST, HIGHEST, LEVELS)
    means = belief.draws(points, FLIP_WORLDS).mean(axis=0)
    levels = points["level"].to_numpy()
    best: dict[float, dict[str, Any]] = {}
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        best[float(level)] = points.row(int(rows[means[rows].argmin()]), named=True)
    now, budget = axes.label(options[chosen]), project.budget.total_flops
    found = []
    for side, word in ((sorted(each for each in best if each < 1)[::-1], "less"),
                       (sorted(each for each in best if each > 1), "more")):  # fmt: skip
        other = next((each for each in side if best[each]["label"] != now), None)
        if other is not None:
            then = best[other]
            text = (
                f"With {word} compute, at about {other * budget:.2g} FLOPs, the best choice is "
                f"{project.words.short(then['label'])}, with {count(then['params'])} parameters."
            )
            found.append({"what": "budget", "at": other * budget, "then": then["label"],
                          "text": text})  # fmt: skip
    if not found:
        text = (
            f"From {LOWEST * budget:.2g} to {HIGHEST * budget:.2g} FLOPs the same data and "
            f"settings are best; only the size changes."
        )
        found.append({"what": "budget", "text": text})
    return found


def _served_volume(
    project: Project, options: Sequence[Recipe], axes: Axes, belief: Belief, chosen: int
) -> list[dict[str, Any]]:
    """The least serving, paid from the budget, that makes another size or mixture best."""
    if project.serving is not None and project.serving.in_budget:
        return []
    spec = project.serving or ServingSpec(tokens=1.0)
    per_token = [serve_flops(each.shape, spec) for each in options]
    for served in SERVED_SHARES * project.budget.total_flops / per_token[chosen]:
        left = [1 - served * each / project.budget.total_flops for each in per_token]
        rows = [k for k, share in enumerate(left) if share > LOWEST]
        points = at_share(
            axes.points([options[k] for k in rows]), pl.Series([left[k] for k in rows])
        )
        best = options[rows[int(belief.draws(points, FLIP_WORLDS).mean(axis=0).argmin())]]
        if best.id != options[chosen].id:
            same = axes.label(best) == axes.label(options[chosen])
            data = "the same data" if same else project.words.short(axes.label(best))
            text = (
                f"If the budget also had to pay for serving {count(float(served))} tokens, the "
                f"best choice would be {data}, with {count(best.shape.non_embedding_params)} "
                f"parameters."
            )
            return [{"what": "serving", "at": float(served), "then": axes.label(best),
                     "text": text}]  # fmt: skip
    return []


def _runner_up(
    project: Project, options: Sequence[Recipe], axes: Axes, belief: Belief, chosen: int
) -> list[dict[str, Any]]:
    """The best option of other data or settings, and how often it wins."""
    draws = belief.draws(axes.points(options))
    now = axes.label(options[chosen])
    others = [k for k, each in enumerate(options) if axes.label(each) != now]
    if not others:
        return []
    other = min(others, key=lambda k: float(draws[:, k].mean()))
    wins = float((draws[:, other] < draws[:, chosen]).mean())
    gap = float((draws[:, other] - draws[:, chosen]).mean())
    text = (
        f"The next best data or settings: {project.words.short(axes.label(options[other]))}, "
        f"worse by {gap:.3g} on average and better in {100 * wins:.0f} % of the draws."
    )
    return [{"what": "runner-up", "then": axes.label(options[other]), "gap": gap, "p": wins,
             "text": text}]  # fmt: skip
