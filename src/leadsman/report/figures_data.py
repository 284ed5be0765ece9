"""Plots of text and of runs: mixtures, what was kept, loss curves, forecasts against results."""

from __future__ import annotations

from typing import Any

import polars as pl

from leadsman.humanize import base_of, count
from leadsman.report.figures import (
    BLUE,
    GREEN,
    GREY,
    MAX_CURVE_POINTS,
    ORANGE,
    VERMILION,
    Spec,
    looks_of,
    series_of,
    unit_of,
)
from leadsman.report.read import Findings


def mixture_figure(findings: Findings) -> Spec:
    """Where each mixture's tokens come from."""
    mixtures = findings.stages["mixtures"]["by_source"] | _chosen_shares(findings)
    named = [findings.words.short(name) for name in mixtures]
    sources = sorted({source for shares in mixtures.values() for source in shares})
    series = []
    for position, source in enumerate(sources):
        shares = [100 * mixtures[name].get(source, 0.0) for name in mixtures]
        series.append(
            series_of("bars", source, position)
            | {
                "x": shares,
                "y": named,
                "label": [f"{share:.0f} %" for share in shares],
                "text": [f"{share:.1f} % of {name}" for name, share in zip(named, shares)],
            }
        )
    return {
        "title": "Where the training tokens come from",
        "alt": "Share of training tokens from each source, one bar a mixture",
        "height": 70 + 52 * len(mixtures),
        "x": {"title": "share of training tokens (%)", "range": [0, 100]},
        "y": {"categories": named},
        "series": series,
    }


def _chosen_shares(findings: Findings) -> dict[str, dict[str, float]]:
    """Shares of sources in the chosen mixture, where it is none of those sounded."""
    if not findings.plan:
        return {}
    mixture = findings.plan["chosen"]["recipe"]["mixture"]
    if mixture["name"] in findings.stages["mixtures"]["by_source"]:
        return {}
    sets = findings.stages.get("select", {}).get("sets", {})
    shares: dict[str, float] = {}
    for name, weight in mixture["weights"].items():
        parts = sets[name]["by_source"] if name in sets else {name: 1}
        for source, size in parts.items():
            shares[source] = shares.get(source, 0.0) + weight * size / sum(parts.values())
    return {mixture["name"]: shares}


def sources_figure(findings: Findings) -> Spec:
    """What became of each source's bytes."""
    sources = findings.stages["prepare"]["sources"]
    names = [source["name"] for source in sources]
    parts = (
        ("kept_bytes", "kept", GREEN),
        ("duplicate_bytes", "dropped: duplicates", ORANGE),
        ("contaminated_bytes", "dropped: copies of the target", VERMILION),
    )
    top = max(sum(source[key] for key, _, _ in parts) for source in sources) / 1e6
    return {
        "title": "What was kept and what was dropped",
        "alt": "Megabytes kept and dropped, one bar a source",
        "height": 70 + 40 * len(names),
        "x": {"title": "readable text (MB)", "range": [0, top * 1.03 or 1]},
        "y": {"categories": names},
        "series": [
            series_of("bars", label, colour)
            | {
                "x": [source[key] / 1e6 for source in sources],
                "y": names,
                "text": [f"{source['name']}: {source[key] / 1e6:.3g} MB" for source in sources],
            }
            for key, label, colour in parts
        ],
    }


def curves_figure(findings: Findings) -> Spec | None:
    """Training loss of every run."""
    series: list[Spec] = []
    if "mixture" not in findings.runs.columns:
        return None
    rows = findings.runs.filter(pl.col("mixture").is_not_null()).sort("role", "flops")
    looks, words = looks_of(findings), findings.words
    for row in sorted(rows.iter_rows(named=True), key=lambda row: row["role"] != "proxy"):
        curve = smoothed(findings.curves.get(row["id"], pl.DataFrame()))
        if curve.is_empty():
            continue
        small = {"proxy": "small runs", "setting": "settings tried"}
        real = row["role"] not in small
        base = base_of(row["mixture"])
        colour, _, dash = looks.get(row["mixture"]) or looks[base]
        kind = small.get(row["role"], "real run")
        series.append(
            series_of("line", f"{words.short(row['mixture'] if real else base)}: {kind}", colour)
            | {
                "x": curve["tokens"].to_list(),
                "y": curve["loss"].to_list(),
                "width": 2.6 if real else 1,
                "opacity": 1 if real else 0.5,
                "dash": dash if real else "none",
                "text": [f"{count(row['params'])} parameters"] * len(curve),
            }
        )
    if not series:
        return None
    return {
        "title": "Loss curves",
        "detail": "Each point is the mean over a twentieth of the tokens so far.",
        "alt": "Training loss in nats per token against tokens, one line a run",
        "height": 360,
        "x": {"title": "training tokens", "log": True, "format": "si"},
        "y": {"title": "training loss (nats per token)"},
        "series": series,
    }


def smoothed(curve: pl.DataFrame, width: float = 0.05) -> pl.DataFrame:
    """Means over stretches of equal width in log tokens: what a log axis can show."""
    if curve.is_empty():
        return curve
    return (
        curve.with_columns(stretch=(pl.col("tokens").log() / width).floor())
        .group_by("stretch")
        .agg(pl.col("tokens").mean(), pl.col("loss").mean())
        .sort("stretch")
        .filter(pl.col("loss").is_finite())
        .tail(MAX_CURVE_POINTS)
    )


def score_figure(findings: Findings) -> Spec:
    """Each forecast as nested intervals around 0, with the result on it, in per cent."""
    names, results = [], []
    ranges: dict[str, list[tuple[float, float]]] = {level: [] for level in ("0.95", "0.8", "0.5")}
    for score in findings.register.scores:
        row = findings.run(score.forecast.id)
        data = findings.words.short(row.get("mixture") or "")
        label = f"{row['role']}: {data}" if data else score.forecast.id[:12]
        names.append(label if label not in names else f"{label} {score.forecast.id[:6]}")
        middle = score.forecast.median
        results.append(100 * (score.actual / middle - 1))
        for level, bounds in ranges.items():
            low, high = score.forecast.intervals[level]
            bounds.append((100 * (low / middle - 1), 100 * (high / middle - 1)))
    looks: dict[str, tuple[int, float]] = {"0.95": (7, 0.4), "0.8": (13, 0.6), "0.5": (20, 0.9)}
    series: list[dict[str, Any]] = [
        series_of("ranges", f"{100 * float(level):.0f} % interval", BLUE)
        | {
            "y": names,
            "lo": [low for low, _ in bounds],
            "hi": [high for _, high in bounds],
            "width": looks[level][0],
            "opacity": looks[level][1],
        }
        for level, bounds in ranges.items()
    ]
    texts = [f"{each:+.2f} % from the forecast's median" for each in results]
    series.append(
        series_of("dots", "what the run gave", GREY)
        | {"x": results, "y": names, "shape": "star", "hollow": True}
        | {"size": [8] * len(names), "text": texts}
    )
    return {
        "title": "Forecasts and what came of them",
        "alt": "Intervals of each registered forecast, with the result marked by a star",
        "height": 76 + 44 * len(names),
        "x": {"title": "difference from the forecast's median (%)"},
        "y": {"categories": names},
        "series": series,
    }


def error_figure(findings: Findings) -> Spec | None:
    """Error of the registered forecasts in order of registration."""
    scores = findings.register.scores
    if len(scores) < 3:
        return None
    numbers = list(range(1, len(scores) + 1))
    texts = [
        f"{100 * score.relative_error:+.2f} %, "
        f"{'inside' if score.inside['0.95'] else 'outside'} the 95 % interval"
        for score in scores
    ]
    return {
        "title": "Error over time",
        "alt": "Relative error of each registered forecast, in order of registration",
        "height": 260,
        "x": {"title": "forecast, in order of registration", "range": [0.5, len(scores) + 0.5]},
        "y": {"title": f"forecast against result (%), {unit_of(scores[0].forecast.y)}"},
        "series": [
            series_of("line", "", GREY)
            | {
                "x": [0.5, len(scores) + 0.5],
                "y": [0, 0],
                "width": 1,
                "dash": "3 3",
                "hover": False,
            },
            series_of("dots", "error", BLUE)
            | {"x": numbers, "y": [100 * s.relative_error for s in scores], "text": texts},
        ],
    }
