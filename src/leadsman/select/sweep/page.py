"""A sweep as a page: loss by amount, one line a method, one plot a view."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from leadsman.files import Directory
from leadsman.humanize import count, megabytes
from leadsman.select.sweep.design import BASELINES, View
from leadsman.select.sweep.report import Cell, SweepReport

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe and Ito's colours, told apart by every kind of eye; grey for the baselines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
GREYS = ("#888888", "#444444")


def figure(report: SweepReport, view: View) -> go.Figure:
    """Bits per byte against the bytes chosen; error bars are one standard deviation over seeds.

    A cross marks an amount that is worse than a smaller one of the same method.
    """
    import plotly.graph_objects as go

    plot = go.Figure()
    names = list(dict.fromkeys(cell.method for cell in report.cells))
    colours = dict(zip(BASELINES, GREYS))
    for position, name in enumerate(name for name in names if name not in BASELINES):
        colours[name] = COLOURS[position % len(COLOURS)]
    for name in names:
        cells = [cell for cell in report.cells if (cell.method, cell.view) == (name, view)]
        plot.add_scatter(
            x=[cell.text_bytes for cell in cells],
            y=[cell.bpb for cell in cells],
            error_y={"type": "data", "array": [cell.seed_sd or 0.0 for cell in cells]},
            mode="lines+markers",
            line={"color": colours[name], "dash": "dash" if name in BASELINES else "solid"},
            marker={
                "size": 9,
                "symbol": ["x" if cell.worse_than else "circle" for cell in cells],
            },
            name=html.escape(name),
            text=[
                f"{cell.amount:g} of the pool, {cell.documents:,.0f} documents" for cell in cells
            ],
        )
    plot.update_layout(
        template="simple_white",
        xaxis={"title": "text chosen (bytes)", "type": "log"},
        yaxis={"title": "bits per byte of held-out target"},
        legend={"orientation": "h", "y": -0.25},
        margin={"t": 10},
    )
    return plot


def write_page(report: SweepReport, out: str | Path) -> None:
    """Write ``OUT/sweep.html``; it needs nothing else."""
    from plotly.offline import get_plotlyjs

    facts = report.facts
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Sweep</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
        "padding:0 1rem}td,th{padding:0 .8rem 0 0;text-align:right}"
        "td:first-child,th:first-child{text-align:left}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>",
        "<h1>What a selection is worth, and when it is too much</h1>",
        f"<p>Pool: {count(facts['pool_documents'])} documents, {megabytes(facts['pool_bytes'])}. "
        f"Measured on {count(facts['held_out_documents'])} held-out target documents, "
        f"{megabytes(facts['held_out_bytes'])}; selected by up to "
        f"{count(facts['reference_documents'])} others. Proxy: {report.design['proxy']}, "
        f"{report.design['seeds']} seeds.</p><ul>",
        *(f"<li>{html.escape(finding)}</li>" for finding in report.findings),
        "</ul>",
    ]
    for view in report.views:
        parts.append(f"<h2>{view.capitalize()}</h2><p>{explanation(report, view)}</p>")
        plot = figure(report, view).to_html(full_html=False, include_plotlyjs=False)
        parts += [plot, _table(report, view)]
    parts.append("</body></html>")
    Directory(str(out)).write("sweep.html", "\n".join(parts).encode())


def explanation(report: SweepReport, view: View) -> str:
    """What a view compares, in a sentence or two."""
    if view == "own size":
        return "Each proxy is trained once on all that was chosen."
    size = megabytes(report.facts["equal_bytes"])
    less = (
        "a random part of what was chosen, where there is more"
        if report.design["proxy"] == "ngram"
        else "the chosen text again and again, or a part of it"
    )
    return f"Each proxy is trained on {size}: {less}."


def _table(report: SweepReport, view: View) -> str:
    amounts = sorted({cell.amount for cell in report.cells})
    rows = ["<tr><th>method</th>" + "".join(f"<th>{a:g}</th>" for a in amounts) + "</tr>"]
    for name in dict.fromkeys(cell.method for cell in report.cells):
        cells = [report.cell(name, view, amount) for amount in amounts]
        rows.append(
            f"<tr><td>{html.escape(name)}</td>"
            + "".join(f"<td>{cell_text(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    return (
        f"<table>{''.join(rows)}</table><p>✗: worse than a smaller amount of the same method.</p>"
    )


def cell_text(cell: Cell) -> str:
    """A loss with its noise, and a mark if it is worse than that of a smaller amount."""
    noise = "" if cell.seed_sd is None else f" ±{cell.seed_sd:.3f}"
    return f"{cell.bpb:.3f}{noise}{' ✗' if cell.worse_than is not None else ''}"
