"""The plots of a report, as data for ``charts.js``.

Colours are numbers into a palette of the page (one for light, one for dark) made after Okabe and
Ito's; what colour says, shape or dash says too.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import polars as pl

from leadsman.humanize import base_of, count
from leadsman.report.read import Findings

BLUE, ORANGE, GREEN, PURPLE, GREY, SKY, VERMILION, VIOLET = range(8)
MIXTURE_COLOURS = {"natural": ORANGE, "uniform": SKY, "selected": GREEN}
_MORE = (BLUE, VERMILION, PURPLE, VIOLET, GREY)
_SHAPES = {"natural": "square", "uniform": "triangle", "selected": "circle"}
_DASHES = {"natural": "6 4", "uniform": "2 3", "selected": "none"}
_OTHER_SHAPES = ("diamond", "circle", "square", "triangle")
_OTHER_DASHES = ("8 3 2 3", "none", "6 4", "2 3")
MAX_CURVE_POINTS = 120

Spec = dict[str, Any]


def looks_of(findings: Findings) -> dict[str, tuple[int, str, str]]:
    """Colour, marker and dash of each mixture; unknown names take the next free ones."""
    names = set(findings.stages.get("mixtures", {}).get("by_source", {}))
    names |= {curve["mixture"] for curve in findings.stages.get("forecast", {}).get("curves", ())}
    for column in ("mixture", "settings"):
        if column in findings.candidates.columns:
            names |= set(findings.candidates[column].to_list())
    if "mixture" in findings.runs.columns:
        names |= {base_of(name) for name in findings.runs["mixture"].drop_nulls()}
    names.discard("")
    looks = {
        name: (
            _MORE[position % len(_MORE)],
            _OTHER_SHAPES[position % len(_OTHER_SHAPES)],
            _OTHER_DASHES[position % len(_OTHER_DASHES)],
        )
        for position, name in enumerate(sorted(names - set(MIXTURE_COLOURS)))
    }
    for name, colour in MIXTURE_COLOURS.items():
        looks[name] = (colour, _SHAPES[name], _DASHES[name])
    return looks


def label_of(option: dict[str, Any]) -> str:
    """Data and settings of an option, for a person."""
    return str(option.get("label") or option["recipe"]["mixture"]["name"])


def unit_of(y: str) -> str:
    """What a result is measured in, for an axis."""
    kind, _, name = y.partition(".")
    known = {"bpb": "bits per byte", "loss": "nats per token", "score": "score"}
    return f"{known[kind]} on {name}" if kind in known and name else y


def _proxies(findings: Findings) -> pl.DataFrame:
    runs = findings.runs
    if runs.is_empty() or "mixture" not in runs.columns or findings.plan["y"] not in runs.columns:
        return pl.DataFrame()
    return runs.filter(
        pl.col("role") == "proxy", pl.col("status") == "finished", pl.col("mixture").is_not_null()
    ).sort("mixture", "flops")


def forecast_figure(findings: Findings) -> Spec:
    """Soundings, the forecast with its intervals, and what the runs really gave."""
    plan, series = findings.plan, []
    y, chosen = plan["y"], label_of(plan["chosen"])
    curves = findings.stages["forecast"]["curves"]
    looks, words = looks_of(findings), findings.words
    for curve in curves:
        colour, _, dash = looks[curve["mixture"]]
        name = words.short(curve["mixture"])
        if curve["mixture"] == chosen:
            for level, opacity in (("0.95", 0.13), ("0.5", 0.24)):
                low, high = zip(*curve["intervals"][level], strict=True)
                series.append(
                    series_of("band", f"{name}: {100 * float(level):.0f} % interval", colour)
                    | {"x": curve["flops"], "lo": low, "hi": high, "opacity": opacity}
                )
        series.append(
            series_of("line", f"{name}: forecast", colour)
            | {"x": curve["flops"], "y": curve["median"], "dash": dash, "width": 2.2}
        )
    proxies = _proxies(findings)
    sizes = sorted(set(proxies["params"].to_list())) if len(proxies) else []
    for (name,), group in proxies.group_by("mixture", maintain_order=True) if sizes else ():
        colour, shape, _ = looks[str(name)]
        series.append(
            series_of("dots", f"{words.short(str(name))}: small runs", colour)
            | {
                "shape": shape,
                "x": group["flops"].to_list(),
                "y": group[y].to_list(),
                "size": [3 + sizes.index(each) for each in group["params"]],
                "text": [
                    f"{count(row['params'])} parameters, {count(row['tokens'])} tokens: "
                    f"{row[y]:.4f}"
                    for row in group.iter_rows(named=True)
                ],
            }
        )
    series += _outcomes(findings)
    return {
        "title": "What the small runs say about the real one",
        "detail": "Each mark is a small run, larger for larger models. The lines are the forecast "
        "for the chosen model size; the band belongs to the chosen data.",
        "alt": f"{unit_of(y)} against training compute: small runs, forecast with intervals"
        + (", and the real results" if findings.register.scores else ""),
        "height": 400,
        "x": {"title": "training compute (FLOPs)", "log": True, "format": "power"},
        "y": {"title": f"{unit_of(y)}, lower is better"},
        "series": series,
    }


def _outcomes(findings: Findings) -> list[Spec]:
    found = []
    for score in findings.register.scores:
        row = findings.run(score.forecast.id)
        if row.get("flops") and score.forecast.y == findings.plan["y"]:
            low, high = score.forecast.intervals["0.95"]
            text = findings.words.short(row.get("mixture") or "")
            text += f": {score.actual:.4f}, forecast {score.forecast.median:.4f}"
            text += f" ({low:.4f} to {high:.4f})"
            found.append(
                series_of("dots", "the real runs", GREY)
                | {"shape": "star", "hollow": True, "x": [row["flops"]], "y": [score.actual]}
                | {"size": [9], "text": [text]}
            )
    return found


def isoflop_figure(findings: Findings) -> Spec | None:
    """Results against size at equal compute, small runs below and the forecast for the budget."""
    plan = findings.plan
    chosen, y = label_of(plan["chosen"]), plan["y"]
    base, words = base_of(plan["chosen"]["recipe"]["mixture"]["name"]), findings.words
    proxies = _proxies(findings)
    if proxies.is_empty():
        return None
    own = proxies.filter(pl.col("mixture") == base).sort("flops")
    series: list[Spec] = []
    levels = [list(rows) for _, rows in groupby(own.iter_rows(named=True), _level)]
    levels = [rows for rows in levels if len({row["params"] for row in rows}) > 2]
    for position, rows in enumerate(levels[-6:]):
        rows.sort(key=lambda row: row["params"])
        dash = ("2 3", "6 4", "8 3 2 3", "4 2", "10 3", "none")[position % 6]
        colour = (SKY, PURPLE, ORANGE, VIOLET, BLUE, VERMILION)[position % 6]
        results = [(row["params"], row["tokens"], row[y]) for row in rows]
        name = f"small runs of {rows[0]['flops']:.1e} FLOPs"
        series.append(_above_best(results, name, colour) | {"dash": dash, "width": 1.8})
    options = [plan["chosen"], plan["naive"], *plan["alternatives"]]
    options = [each for each in options if label_of(each) == chosen]
    options.sort(key=params_of)
    if len(options) < 2 and not series:
        return None
    results = [
        (params_of(each), each["recipe"]["tokens"], each["forecast"]["median"]) for each in options
    ]
    name = f"forecast for {plan['budget_flops']:.1e} FLOPs"
    series.append(_above_best(results, name, GREEN) | {"width": 3})
    return {
        "title": "Which size at equal compute",
        "detail": f"Data: {words.short(chosen)}; small runs: {words.short(base)}. Each line spends "
        "the same compute on other sizes: to the left more tokens, to the right more parameters. "
        "Its best size is at zero.",
        "alt": "How much worse than the best size each size is, in per cent of "
        f"{unit_of(y)}; one line a level of compute",
        "height": 300,
        "x": {"title": "parameters (non-embedding)", "log": True, "format": "si"},
        "y": {"title": "% above the best at the same compute", "zero": True},
        "series": series,
    }


def _above_best(results: list[tuple[float, float, float]], name: str, colour: int) -> Spec:
    """(params, tokens, result) of equal compute, as per cent above the best of them."""
    best = min(result for _, _, result in results)
    return series_of("line", name, colour) | {
        "x": [params for params, _, _ in results],
        "y": [100 * (result / best - 1) for _, _, result in results],
        "text": [
            f"{count(params)} parameters, {count(tokens)} tokens: {result:.4f}"
            for params, tokens, result in results
        ],
    }


def _level(row: dict[str, Any]) -> int:
    from math import log2

    return round(log2(row["flops"]))


def pareto_figure(findings: Findings) -> Spec | None:
    """Cost against quality, as the plan found it."""
    points = findings.plan.get("pareto") or []
    if len(points) < 2:
        return None
    cost = "money" if all(point.get("money") for point in points) else "flops"
    currency = (findings.plan.get("cost") or {}).get("currency") or "money"
    x = [point[cost] for point in points]
    return {
        "title": "What more or less money would buy" if cost == "money" else "Cost against quality",
        "detail": "The best choice at each cost; nothing weighed is both cheaper and better.",
        "alt": "Pareto front of cost and forecast quality, with 80 % intervals",
        "x": {
            "title": f"cost ({currency})" if cost == "money" else "training compute (FLOPs)",
            "log": True,
            "format": "si" if cost == "money" else "power",
        },
        "y": {"title": f"{unit_of(findings.plan['y'])}, lower is better"},
        "series": [
            series_of("band", "80 % interval", GREEN)
            | {"x": x, "lo": [p["low"] for p in points], "hi": [p["high"] for p in points]},
            series_of("line", "best choice", GREEN)
            | {
                "x": x,
                "y": [point["median"] for point in points],
                "text": [
                    f"{point['median']:.4f}: {count(point['params'])} parameters, "
                    f"{count(point['tokens'])} tokens, {findings.words.short(point['mixture'])}"
                    for point in points
                ],
            },
        ],
    }


def params_of(option: dict[str, Any]) -> int:
    """Non-embedding parameters of an option of the plan."""
    from leadsman.runs import ModelShape

    return ModelShape(**option["recipe"]["shape"]).non_embedding_params


def series_of(kind: str, name: str, colour: int) -> Spec:
    """The beginning of a series: kind, name in the legend, colour."""
    return {"kind": kind, "name": name, "color": colour}
