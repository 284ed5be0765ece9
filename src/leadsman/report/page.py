"""The report: one self-contained HTML file, the decision first. It opens without a network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from leadsman._version import __version__
from leadsman.files import Directory
from leadsman.humanize import count
from leadsman.report import figures
from leadsman.report.read import Findings, read_findings
from leadsman.runs import ModelShape

MAX_ALTERNATIVES = 12


def write_report(work: Path, out: Path) -> Path:
    """Write the report of a project's working directory.

    Args:
        work: the working directory; unfinished stages are left out of the page.
        out: the HTML file.

    Returns:
        ``out``.

    Raises:
        InputError: nothing has been done in ``work`` yet, or ``out`` cannot be written.
    """
    page = render(read_findings(work))
    Directory(str(out.parent)).write(out.name, page.encode())
    return out


def render(findings: Findings) -> str:
    """The page as one string of HTML."""
    sections = [
        _decision(findings),
        _forecast(findings),
        _alternatives(findings),
        _mixtures(findings),
        _sources(findings),
        _curves(findings),
        _reproduce(findings),
    ]
    room = resources("leadsman.report")
    style = (room / "page.css").read_text()
    script = (room / "page.js").read_text()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(findings.name)}: Leadsman report</title>"
        f"<style>{style}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><main>{''.join(sections)}"
        f"<footer>Written by Leadsman {__version__}. Nothing on this page needs a network."
        f"</footer></main><script>{script}</script></body></html>"
    )


def _decision(findings: Findings) -> str:
    plan = findings.plan
    if not plan:
        return (
            f'<p class="eyebrow">{_text(findings.name)}</p><h1>No decision yet</h1>'
            "<p>The soundings are not finished; this page shows what is known so far.</p>"
        )
    chosen, naive = plan["chosen"], plan["naive"]
    recipe, forecast = chosen["recipe"], chosen["forecast"]
    low, high = forecast["intervals"]["0.95"]
    cards = [
        ("forecast, bits per byte", f"{forecast['median']:.3f}", f"95 %: {low:.3f} to {high:.3f}"),
        *_outcome_cards(findings),
    ]
    if plan["saving"]:
        saving = plan["saving"]
        more = "at least " if saving["censored"] else ""
        cards.append(
            (
                "compute saved at equal quality",
                f"{more}{100 * saving['fraction']:.0f} %",
                f"80 %: {100 * saving['low']:.0f} to {100 * saving['high']:.0f} %, against the "
                f"{naive['recipe']['mixture']['name']} mixture",
            )
        )
    shape = recipe["shape"]
    return (
        f'<p class="eyebrow">{_text(findings.name)}</p>'
        f"<h1>Train {count(_params(chosen))} parameters on "
        f"{count(recipe['tokens'])} tokens of the {_text(recipe['mixture']['name'])} mixture</h1>"
        f'<p class="soft">{shape["layers"]} layers, width {shape["width"]}, {shape["heads"]} '
        f"heads; learning rate {recipe['lr']:.3g}, batch {count(recipe['batch_tokens'])} tokens, "
        f"{_text(recipe['schedule']['name'])} schedule; {plan['budget_flops']:.2e} training FLOPs. "
        f"The soundings cost {plan['sounding_flops']:.2e}.</p>"
        f'<ul class="cards">{"".join(_card(*card) for card in cards)}</ul>{_warnings(forecast)}'
    )


def _outcome_cards(findings: Findings) -> Iterable[tuple[str, ...]]:
    for score in findings.track_record:
        run = findings.run(score.forecast.id)
        if run["role"] == "final":
            inside = score.inside["0.95"]
            yield (
                "the real run gave",
                f"{score.actual:.3f}",
                f"{'inside' if inside else 'outside'} the 95 % interval, forecast "
                f"{100 * score.relative_error:+.1f} % off",
                "good" if inside else "bad",
            )
    record = findings.track_record
    if record:
        hits = sum(score.inside["0.95"] for score in record)
        yield (
            "track record here",
            f"{hits} of {len(record)}",
            "registered forecasts whose 95 % interval held",
        )


def _forecast(findings: Findings) -> str:
    if "forecast" not in findings.stages or not findings.plan:
        return ""
    text = (
        "<h2>Forecast</h2><p>Each dot is a small run (larger dots, larger models). The dotted "
        "lines are the forecast for the chosen model size; the band belongs to the chosen "
        "mixture. The forecast was written to the ledger before the real runs (stars) began.</p>"
        + _plot(
            figures.forecast_figure(findings),
            "Bits per byte against training compute: soundings, forecast with intervals, outcome",
        )
    )
    if findings.track_record:
        text += _plot(
            figures.score_figure(findings),
            "Forecast intervals and the actual result of each run",
        )
        rows = []
        for score in findings.track_record:
            run = findings.run(score.forecast.id)
            low, high = score.forecast.intervals["0.95"]
            rows.append(
                [
                    f"{run['role']}, {run['mixture']}",
                    f"{score.forecast.median:.4f}",
                    f"{low:.4f} to {high:.4f}",
                    f"{score.actual:.4f}",
                    f"{100 * score.relative_error:+.2f} %",
                    *("yes" if score.inside[level] else "no" for level in ("0.5", "0.8", "0.95")),
                ]
            )
        header = ["run", "forecast", "95 %", "actual", "error", "in 50 %", "in 80 %", "in 95 %"]
        text += _table(header, rows, numbers={1, 2, 3, 4})
    law = findings.plan["chosen"]["forecast"]["law"]
    return text + f'<p class="soft">Law: {_text(law)}.</p>'


def _alternatives(findings: Findings) -> str:
    plan = findings.plan
    if not plan:
        return ""
    options = [plan["chosen"], plan["naive"], *plan["alternatives"]]
    unique = {option["forecast"]["id"]: option for option in options}
    ranked = sorted(unique.values(), key=lambda option: option["forecast"]["mean"])
    rows = []
    for option in ranked[:MAX_ALTERNATIVES]:
        low, high = option["forecast"]["intervals"]["0.95"]
        rows.append(
            [
                option["recipe"]["mixture"]["name"],
                count(_params(option)),
                count(option["recipe"]["tokens"]),
                f"{option['forecast']['median']:.4f}",
                f"{low:.4f} to {high:.4f}",
                f"{100 * option['probability_best']:.0f} %",
            ]
        )
    return "<h2>What it beat</h2><p>Every option spends the same compute.</p>" + _table(
        ["mixture", "params", "tokens", "forecast", "95 %", "is best"],
        rows,
        numbers={1, 2, 3, 4, 5},
        strong=0,
    )


def _mixtures(findings: Findings) -> str:
    if "mixtures" not in findings.stages:
        return ""
    text = "<h2>Mixtures</h2>" + _plot(
        figures.mixture_figure(findings), "Share of training tokens from each source, by mixture"
    )
    if "select" in findings.stages:
        chosen = findings.stages["select"]
        text += (
            f"<p>{_text(chosen['method'])} kept {chosen['documents']:,} documents "
            f"({chosen['bytes'] / 1e6:.1f} MB). {_text(chosen['note'])}</p>"
        )
        text += _examples("Documents it ranks highest", chosen["examples"])
    return text


def _sources(findings: Findings) -> str:
    if "prepare" not in findings.stages:
        return ""
    prepared = findings.stages["prepare"]
    rows = [
        [
            source["name"],
            f"{source['documents']:,}",
            f"{source['bytes'] / 1e6:.2f}",
            f"{source['declared_bytes'] / 1e6:.2f}",
            f"{source['duplicates']:,}",
            f"{source['contaminated']:,}",
            f"{source['kept_documents']:,}",
            f"{source['kept_bytes'] / 1e6:.2f}",
        ]
        for source in prepared["sources"]
    ]
    header = ["source", "documents", "readable MB", "full MB", "duplicates", "in target", "kept"]
    text = (
        "<h2>Sources</h2><p>Exact and near duplicates are dropped, and so is every document that "
        "the target holds too. Each near duplicate was checked by its true Jaccard similarity.</p>"
        + _plot(figures.sources_figure(findings), "Bytes kept and dropped, by source")
        + _table([*header, "kept MB"], rows, numbers=set(range(1, 8)))
    )
    for name in prepared.get("skipped", []):
        text += f"<p class='soft'>Skipped: {_text(name)}</p>"
    return text + _examples("Documents that were dropped, and why", prepared["examples"])


def _curves(findings: Findings) -> str:
    if findings.runs.is_empty():
        return ""
    return "<h2>Runs</h2>" + _plot(
        figures.curves_figure(findings), "Training loss against tokens for every run"
    )


def _reproduce(findings: Findings) -> str:
    text = "<h2>To reproduce</h2>"
    if findings.project_file:
        text += f"<p>The project file:</p><pre>{_text(findings.project_file)}</pre>"
    if not findings.runs.is_empty():
        row = findings.runs.row(0, named=True)
        text += f'<p class="soft">Runs were made on {_text(str(row["device"]))}.</p>'
    return text


def _examples(title: str, examples: Sequence[dict[str, str]]) -> str:
    if not examples:
        return ""
    items = "".join(
        f"<p><b>{_text(each['id'])}</b> <span class='soft'>{_text(each.get('why', ''))}</span></p>"
        f"<pre>{_text(each['text'])}</pre>"
        for each in examples
    )
    return f"<details><summary>{_text(title)}</summary>{items}</details>"


def _warnings(forecast: dict[str, Any]) -> str:
    return "".join(f"<p class='soft'>Note: {_text(each)}</p>" for each in forecast["warnings"])


def _card(label: str, value: str, detail: str, tone: str = "") -> str:
    return (
        f'<li><span class="soft">{_text(label)}</span>'
        f'<span class="value {tone}">{_text(value)}</span>'
        f'<span class="soft">{_text(detail)}</span></li>'
    )


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: set[int],
    strong: int | None = None,
) -> str:
    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=number' if position in numbers else ''}>{_text(value)}</{tag}>"
            for position, value in enumerate(values)
        )

    body = "".join(
        f"<tr{' class=chosen' if position == strong else ''}>{cells(row, 'td')}</tr>"
        for position, row in enumerate(rows)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{cells(header, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _plot(figure: go.Figure, description: str) -> str:
    plot = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return f'<figure role="img" aria-label="{_text(description)}">{plot}</figure>'


def _params(option: dict[str, Any]) -> int:
    return ModelShape(**option["recipe"]["shape"]).non_embedding_params


def _text(value: str) -> str:
    return html.escape(value)
