"""Pieces of HTML: every text from outside is escaped here."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any


def text(value: object) -> str:
    """A value as text that cannot become markup."""
    return html.escape(str(value)).replace(" %", "\u00a0%")


def section(anchor: str, title: str, body: str) -> str:
    """A section under its own heading; nothing if it has no body."""
    if not body:
        return ""
    return f'<section id="{anchor}"><h2>{text(title)}</h2>{body}</section>'


def card(label: str, value: str, detail: str, tone: str = "") -> str:
    """One number a reader should see at once."""
    return (
        f'<li><span class="soft">{text(label)}</span>'
        f'<span class="value {tone}">{text(value)}</span>'
        f'<span class="soft">{text(detail)}</span></li>'
    )


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: set[int],
    caption: str,
    strong: int | None = None,
) -> str:
    """A table that scrolls sideways where it must; ``strong`` is the row that is marked."""

    def cells(values: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        marks = [
            ' class="number"' if position in numbers else "" for position in range(len(values))
        ]
        return "".join(
            f"<{tag}{scope}{mark}>{text(value)}</{tag}>" for mark, value in zip(marks, values)
        )

    chosen = ' class="chosen"'
    body = "".join(
        f"<tr{chosen if position == strong else ''}>{cells(row, 'td')}</tr>"
        for position, row in enumerate(rows)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<thead><tr>{cells(header, 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def chart(spec: dict[str, Any]) -> str:
    """A figure that ``charts.js`` draws from its data."""
    data = json.dumps(_short(spec), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    detail = f"<span>{text(spec['detail'])}</span>" if spec.get("detail") else ""
    return (
        f"<figure data-chart><figcaption>{text(spec['title'])}{detail}</figcaption>"
        f'<div class="plot" style="min-height:{spec.get("height", 340)}px"></div>'
        f'<ul class="legend" hidden></ul><script type="application/json">{data}</script></figure>'
    )


def examples(title: str, found: Sequence[dict[str, str]]) -> str:
    """Documents a reader can look at, folded away."""
    if not found:
        return ""
    items = "".join(
        f"<p><b>{text(each.get('id', ''))}</b> <span class='soft'>{text(each.get('why', ''))}"
        f"</span></p><pre tabindex='0'>{text(each.get('text', ''))}</pre>"
        for each in found
    )
    return f"<details><summary>{text(title)}</summary>{items}</details>"


def _short(value: Any) -> Any:
    """Numbers to six digits (more than any chart shows); what is not a number to null."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value and abs(value) != float("inf") else None
    return value
