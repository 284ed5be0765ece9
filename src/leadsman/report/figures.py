"""The plots of a report. Colours are Okabe and Ito's, told apart by every kind of eye."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl

from leadsman.report.read import Findings

ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE, GREY = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#888888",
)
MIXTURE_COLOURS = {"natural": ORANGE, "uniform": SKY, "selected": GREEN}
SOURCE_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY)
_MORE = (BLUE, VERMILION, PURPLE, YELLOW)


def colour_of(mixture: str, position: int = 0) -> str:
    """The colour of a mixture; unknown names take the next free one."""
    return MIXTURE_COLOURS.get(mixture, _MORE[position % len(_MORE)])


def forecast_figure(findings: Findings) -> go.Figure:
    """Soundings, the forecast with its intervals, and what the runs really gave."""
    figure = go.Figure()
    plan = findings.plan
    y = plan["y"]
    chosen = plan["chosen"]["recipe"]["mixture"]["name"]
    for position, curve in enumerate(findings.stages["forecast"]["curves"]):
        colour = colour_of(curve["mixture"], position)
        if curve["mixture"] == chosen:
            _band(figure, curve, colour)
        figure.add_scatter(
            x=curve["flops"],
            y=curve["median"],
            mode="lines",
            line={"color": colour, "dash": "dot", "width": 2},
            name=f"{curve['mixture']}: forecast",
            legendgroup=curve["mixture"],
        )
    proxies = findings.runs.filter(pl.col("role") == "proxy", pl.col("status") == "finished")
    for position, ((mixture,), group) in enumerate(
        proxies.sort("mixture").group_by("mixture", maintain_order=True)
    ):
        figure.add_scatter(
            x=group["flops"].to_list(),
            y=group[y].to_list(),
            mode="markers",
            marker={
                "color": colour_of(str(mixture), position),
                "size": [5 + 2 * rank for rank in _rank(group["params"].to_list())],
                "line": {"width": 0.5, "color": "rgba(120,120,120,0.9)"},
            },
            name=f"{mixture}: soundings",
            legendgroup=str(mixture),
            customdata=group.select("params", "tokens").rows(),
            hovertemplate="%{customdata[0]:,} params, %{customdata[1]:,} tokens<br>"
            "%{y:.4f}<extra>%{fullData.name}</extra>",
        )
    for score in findings.track_record:
        row = findings.run(score.forecast.id)
        low, high = score.forecast.intervals["0.95"]
        figure.add_scatter(
            x=[row["flops"]],
            y=[score.actual],
            mode="markers",
            marker={
                "symbol": "star",
                "size": 15,
                "color": colour_of(row["mixture"]),
                "line": {"width": 1.2, "color": "#444"},
            },
            name=f"{row['mixture']}: the real run",
            legendgroup=row["mixture"],
            hovertemplate=f"actual {score.actual:.4f}<br>forecast {score.forecast.median:.4f} "
            f"[{low:.4f}, {high:.4f}]<extra>%{{fullData.name}}</extra>",
        )
    figure.update_xaxes(type="log", title="training compute (FLOPs)", exponentformat="power")
    figure.update_yaxes(title=f"{_target_name(y)} (bits per byte, lower is better)")
    return _styled(figure, "What the soundings say about the real run", height=520)


def _band(figure: go.Figure, curve: dict[str, Any], colour: str) -> None:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    for level, alpha in (("0.95", 0.14), ("0.5", 0.24)):
        low, high = zip(*curve["intervals"][level], strict=True)
        figure.add_scatter(
            x=[*curve["flops"], *reversed(curve["flops"])],
            y=[*high, *reversed(low)],
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},{alpha})",
            line={"width": 0},
            hoverinfo="skip",
            name=f"{curve['mixture']}: {float(level):.0%} interval",
            legendgroup=curve["mixture"],
        )


def score_figure(findings: Findings) -> go.Figure:
    """Each forecast as nested intervals, with the actual result on it."""
    figure = go.Figure()
    names = []
    for score in reversed(findings.track_record):
        row = findings.run(score.forecast.id)
        name = f"{row['role']}: {row['mixture']} mixture"
        names.append(name)
        colour = colour_of(row["mixture"])
        for level, width in (("0.95", 6), ("0.8", 12), ("0.5", 20)):
            low, high = score.forecast.intervals[level]
            figure.add_scatter(
                x=[low, high],
                y=[name, name],
                mode="lines",
                line={"color": colour, "width": width},
                opacity={"0.95": 0.35, "0.8": 0.55, "0.5": 0.8}[level],
                showlegend=False,
                hovertemplate=f"{float(level):.0%} interval [{low:.4f}, {high:.4f}]<extra></extra>",
            )
        figure.add_scatter(
            x=[score.actual],
            y=[name],
            mode="markers",
            marker={
                "symbol": "star",
                "size": 17,
                "color": "#ffffff",
                "line": {"width": 2, "color": "#222222"},
            },
            showlegend=False,
            hovertemplate=f"actual {score.actual:.4f}<extra></extra>",
        )
    figure.update_xaxes(
        title="bits per byte on the target (bars: 50, 80 and 95 % intervals; star: actual)"
    )
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    return _styled(figure, "Forecast and outcome", height=150 + 70 * len(names))


def mixture_figure(findings: Findings) -> go.Figure:
    """Where each mixture's tokens come from."""
    mixtures: dict[str, dict[str, float]] = findings.stages["mixtures"]["by_source"]
    sources = sorted({source for shares in mixtures.values() for source in shares})
    figure = go.Figure()
    for position, source in enumerate(sources):
        shares = [100 * mixtures[name].get(source, 0.0) for name in mixtures]
        figure.add_bar(
            y=list(mixtures),
            x=shares,
            orientation="h",
            name=source,
            marker_color=SOURCE_COLOURS[position % len(SOURCE_COLOURS)],
            text=[f"{share:.0f} %" if share >= 6 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textfont={"color": "#111"},
            hovertemplate="%{x:.1f} % " + source + "<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="share of training tokens (%)", range=[0, 100])
    return _styled(figure, "Mixtures by source", height=150 + 60 * len(mixtures))


def sources_figure(findings: Findings) -> go.Figure:
    """What became of each source's bytes."""
    sources = findings.stages["prepare"]["sources"]
    names = [source["name"] for source in sources]
    figure = go.Figure()
    for key, label, colour in (
        ("kept_bytes", "kept", GREEN),
        ("duplicate_bytes", "duplicates", ORANGE),
        ("contaminated_bytes", "copies of the target", VERMILION),
    ):
        figure.add_bar(
            y=names,
            x=[source[key] / 1e6 for source in sources],
            orientation="h",
            name=label,
            marker_color=colour,
            hovertemplate="%{x:.2f} MB " + label + "<extra>%{y}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="readable text (MB)")
    figure.update_yaxes(autorange="reversed")
    return _styled(figure, "What was kept and what was dropped", height=150 + 42 * len(names))


def curves_figure(findings: Findings) -> go.Figure:
    """Training loss of every run."""
    figure = go.Figure()
    shown: set[str] = set()
    for row in findings.runs.sort("role", "flops").iter_rows(named=True):
        curve = _smoothed(findings.curves[row["id"]])
        if curve.is_empty():
            continue
        real = row["role"] != "proxy"
        label = f"{row['mixture']}: {'the real run' if real else 'soundings'}"
        figure.add_scatter(
            x=curve["tokens"].to_list(),
            y=curve["loss"].to_list(),
            mode="lines",
            line={"color": colour_of(row["mixture"]), "width": 2.4 if real else 0.9},
            opacity=1.0 if real else 0.45,
            name=label,
            legendgroup=label,
            showlegend=label not in shown,
            hovertemplate=f"{row['params']:,} params<br>%{{x:,}} tokens: %{{y:.3f}}<extra></extra>",
        )
        shown.add(label)
    figure.update_xaxes(type="log", title="training tokens")
    figure.update_yaxes(title="training loss (nats per token)")
    return _styled(figure, "Loss curves (averaged over a twentieth of the way so far)", height=480)


def _smoothed(curve: pl.DataFrame, width: float = 0.05) -> pl.DataFrame:
    """Means over stretches of equal width in log tokens: what a log axis can show."""
    if curve.is_empty():
        return curve
    return (
        curve.with_columns(stretch=(pl.col("tokens").log() / width).floor())
        .group_by("stretch")
        .agg(pl.col("tokens").mean(), pl.col("loss").mean())
        .sort("stretch")
    )


def _rank(values: list[float]) -> list[int]:
    order = sorted(set(values))
    return [order.index(value) for value in values]


def _target_name(y: str) -> str:
    return y.partition(".")[2] or y


def _styled(figure: go.Figure, title: str, *, height: int) -> go.Figure:
    """House style; legends stand below the plot, never on the data."""
    figure.update_layout(
        title={"text": title, "x": 0, "xref": "paper", "font": {"size": 17}},
        height=height,
        margin={"l": 20, "r": 20, "t": 54, "b": 20},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
    )
    figure.update_xaxes(automargin=True, gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    figure.update_yaxes(automargin=True, gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    return figure
