"""The part of the page in which a reader moves the budget, the serving volume and the price.

Nothing is computed here: the draws the plan stored are packed into the page, and ``explore.js``
chooses among them.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import polars as pl

from leadsman.report.figures import looks_of, unit_of
from leadsman.report.markup import section, text
from leadsman.report.read import Findings

NUMBERS = (
    "params", "total_params", "tokens", "flops", "data_flops", "serve_flops_per_token", "draws",
)  # fmt: skip
DECADE = 100
"""Steps of a slider for a factor of ten."""


def explore(findings: Findings) -> str:
    """Sliders over the stored draws; nothing if the plan stored none."""
    if findings.candidates.is_empty() or not findings.plan:
        return ""
    stored = packed(findings)
    levels = [flops for curve in stored["curves"] for flops in curve["flops"]]
    serving = stored["served"] > 0
    low = int(np.floor(DECADE * np.log10(min(levels) / stored["budget"])))
    high = int(np.ceil(DECADE * np.log10(max(levels) / stored["budget"])))
    priced = stored["price"] and stored["flops_per_second"]
    controls = [
        _slider(
            "budget", "Budget in all" if priced else "Compute in all", min(low, 0), max(high, 0), 0
        ),
        _slider("served", "Tokens served in all", -300, 200, 0 if serving else -300),
    ]
    if priced:
        controls.append(_slider("price", "Price of the hardware", -DECADE, DECADE, 0))
    data = json.dumps(stored, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    body = (
        "<p>Moving these chooses again among the candidates the plan weighed, in this page and "
        "without a network. They start at the plan as it was made.</p>"
        f'<div class="try" id="try"><div class="controls">{"".join(controls)}'
        f"{_objective(stored['objective'])}</div>"
        '<p class="answer" id="answer" role="status"></p><p class="soft" id="why"></p>'
        '<button type="button" id="reset">Back to the plan</button>'
        f"{_figure('sizes', 'Every size at this budget')}"
        f"{_figure('frontier', 'What another budget would give')}"
        f'<script type="application/json" id="candidates">{data}</script></div>'
    )
    return section("try-it", "Try another budget", body)


def packed(findings: Findings) -> dict[str, Any]:
    """Candidates as curves, their draws as base64 of float32, row after row."""
    table = findings.candidates
    keys = [name for name in table.columns if name not in NUMBERS]
    curves, blocks = [], []
    for _, group in table.sort(*keys, "flops").group_by(keys, maintain_order=True):
        first = group.row(0, named=True)
        label = first.get("settings") or first["mixture"]
        curves.append(
            {
                "mixture": label,
                "label": label,
                "said": findings.words.short(label),
                "way": findings.words.way(label),
                "drawn": findings.words.after_tokens(label),
                "width": first["width"],
                "params": first["params"],
                "data_flops": first.get("data_flops", 0.0),
                "serve_flops_per_token": first["serve_flops_per_token"],
                "flops": group["flops"].to_list(),
                "tokens": group["tokens"].to_list(),
            }
        )
        blocks.append(np.stack(group["draws"].cast(pl.List(pl.Float32)).to_list()))
    draws = np.concatenate(blocks).astype("<f4")
    cost, serving = findings.plan.get("cost") or {}, findings.plan.get("serving") or {}
    served = float(serving.get("tokens") or 0)
    looks = looks_of(findings)
    return {
        "curves": curves,
        "draws": base64.b64encode(draws.tobytes()).decode(),
        "per_row": draws.shape[1],
        "budget": float(findings.plan["budget_flops"]),
        "served": served,
        "served_unit": served or _typical_served(table, findings.plan["budget_flops"]),
        "price": cost.get("price_per_hour"),
        "flops_per_second": cost.get("budget_flops_per_second") or cost.get("flops_per_second"),
        "currency": cost.get("currency") or "",
        "objective": findings.plan.get("objective") or {"kind": "mean"},
        "unit": unit_of(findings.plan["y"]),
        "colours": {curve["label"]: looks[curve["label"]][0] for curve in curves},
    }


def _typical_served(table: pl.DataFrame, budget: float) -> float:
    """Tokens whose serving costs a tenth of the budget on the smallest model; one digit."""
    cheapest = table["serve_flops_per_token"].min()
    if not isinstance(cheapest, int | float) or cheapest <= 0:
        return 1e9
    return float(f"{0.1 * budget / cheapest:.0e}")


def _slider(name: str, label: str, low: int, high: int, value: int) -> str:
    return (
        f'<div><label for="{name}">{text(label)} <output for="{name}" id="{name}-said"></output>'
        f'</label><input type="range" id="{name}" min="{low}" max="{high}" value="{value}" '
        'step="1"></div>'
    )


def _objective(objective: dict[str, Any]) -> str:
    stored = str(objective.get("q")) if objective.get("kind") == "quantile" else "mean"
    known = {
        "mean": "the best on average",
        "0.9": "safe: best 90 % quantile",
        "0.5": "the best median",
    }
    known.setdefault(stored, f"best {stored} quantile")
    options = "".join(
        f'<option value="{value}"{" selected" if value == stored else ""}>{text(label)}</option>'
        for value, label in known.items()
    )
    return (
        f'<div><label for="objective">Choose</label><select id="objective">{options}</select></div>'
    )


def _figure(name: str, title: str) -> str:
    return (
        f'<figure id="{name}"><figcaption>{text(title)}</figcaption><div class="plot" '
        'style="min-height:270px"></div><ul class="legend" hidden></ul></figure>'
    )
