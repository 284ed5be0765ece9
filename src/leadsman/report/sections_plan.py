"""Sections about the plan: forecast, alternatives, money, what to measure next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leadsman.humanize import DataWords, count, megabytes, setting_name, setting_value
from leadsman.report import figures
from leadsman.report.decision import amount, hardware_of
from leadsman.report.figures import label_of, params_of, unit_of
from leadsman.report.markup import chart, section, table, text
from leadsman.report.read import Findings

MAX_ALTERNATIVES = 12


def forecast(findings: Findings) -> str:
    """Soundings, forecast and outcome; sizes at equal compute; cost against quality."""
    if not findings.plan:
        return ""
    body = ""
    if "curves" in findings.stages.get("forecast", {}):
        body += chart(figures.forecast_figure(findings))
    for figure in (figures.isoflop_figure(findings), figures.pareto_figure(findings)):
        body += chart(figure) if figure else ""
    law = findings.plan["chosen"]["forecast"].get("law")
    if law:
        word = "Laws, with their weights" if "," in law else "Law"
        body += f'<p class="soft">{word}: {text(law)}.</p>'
    return section("forecast", "Forecast", body)


def alternatives(findings: Findings) -> str:
    """What the choice beat."""
    plan = findings.plan
    if not plan:
        return ""
    options = [plan["chosen"], plan["naive"], *plan["alternatives"]]
    unique = {option["forecast"]["id"]: option for option in options}
    chosen = plan["chosen"]["forecast"]["id"]
    ranked = sorted(
        unique.values(),
        key=lambda each: (each["forecast"]["id"] != chosen, each["forecast"]["mean"]),
    )
    first = {label_of(each): each["forecast"]["id"] for each in reversed(ranked)}
    ranked.sort(key=lambda each: first[label_of(each)] != each["forecast"]["id"])
    rows = [_option_row(option, findings.words) for option in ranked[:MAX_ALTERNATIVES]]
    body = "<p>Every option spends the same budget. The best of each comes first.</p>" + table(
        ["data and settings", "params", "tokens", "forecast", "95 %", "is best of all"],
        rows,
        numbers={1, 2, 3, 4, 5},
        caption="Options that were weighed, the choice first",
        strong=0,
    )
    if len(ranked) > MAX_ALTERNATIVES:
        body += f'<p class="soft">{len(ranked) - MAX_ALTERNATIVES} more were weighed.</p>'
    body += _starts(plan) + _rules(plan, findings.words) + _would_change(plan) + _constraints(plan)
    return section("alternatives", "What it beat", body)


def _option_row(option: dict[str, Any], words: DataWords) -> list[str]:
    low, high = option["forecast"]["intervals"]["0.95"]
    return [
        words.short(label_of(option)),
        count(params_of(option)),
        count(option["recipe"]["tokens"]),
        f"{option['forecast']['median']:.4f}",
        f"{low:.4f} to {high:.4f}",
        f"{100 * option['probability_best']:.0f} %",
    ]


def _starts(plan: dict[str, Any]) -> str:
    """The base models that were weighed."""
    unit = text(unit_of(plan["y"]))
    items = "".join(
        f"<li><b>{text(each['name'])}</b>: {count(each['params'])} parameters, "
        f"{each['as_it_is']:.4f} {unit} as it is, from {text(each['path'])}"
        + (f"; left out: {text(each['left_out'])}" if each["left_out"] else "")
        + (f". <b>{text(each['warning'])}</b>" if "warning" in each else "")
        + "</li>"
        for each in plan.get("starts") or ()
    )
    return items and (
        f"<h3>Base models</h3><ul>{items}</ul><p>Each is weighed with all its parameters trained "
        "further, beside training from fresh weights. What its own training cost is spent "
        "already; no budget here counts it.</p>"
    )


def _rules(plan: dict[str, Any], words: DataWords) -> str:
    rows = [
        [
            rule["rule"],
            words.short(str(rule.get("mixture") or "")),
            count(rule.get("params")),
            count(rule.get("tokens")),
            f"{rule['mean']:.4f}",
            f"{rule['gap']:+.4f}",
        ]
        for rule in plan.get("rules") or ()
    ]
    if not rows:
        return ""
    return (
        "<h3>Against rules of thumb</h3><p>What each rule would have chosen for the same compute, "
        f"and how much worse its forecast is ({text(unit_of(plan['y']))}).</p>"
        + table(
            ["rule", "data", "params", "tokens", "forecast", "worse by"],
            rows,
            numbers={2, 3, 4, 5},
            caption="Rules of thumb",
        )
    )


def _would_change(plan: dict[str, Any]) -> str:
    found = plan.get("would_change") or ()
    items = "".join(f"<li>{text(each['text'])}</li>" for each in found)
    return f"<h3>What would change the choice</h3><ul>{items}</ul>" if items else ""


def settings(findings: Findings) -> str:
    """What each value tried does to the result, and what was kept untried."""
    plan = findings.plan
    tried, kept = plan.get("settings") or (), plan.get("kept") or ()
    body = ""
    if tried:
        chosen = {
            each["axis"]: setting_value(each["value"], each["axis"])
            for each in tried
            if each["chosen"]
        }
        body += (
            "<p>Each value was tried by a small run that differs from its twin in this alone; its "
            "effect is carried to the planned size with its uncertainty; below zero is "
            "better.</p>"
        ) + table(
            ["setting", "value", "instead of", "effect", "80 %", "decision"],
            [
                [
                    setting_name(each["axis"]),
                    setting_value(each["value"], each["axis"]),
                    setting_value(each["reference"], each["axis"]),
                    f"{100 * each['effect']:+.1f} %",
                    f"{100 * each['low']:+.1f} to {100 * each['high']:+.1f} %",
                    f"{chosen[each['axis']]} chosen"
                    if each["axis"] in chosen
                    else f"{setting_value(each['reference'], each['axis'])} kept",
                ]
                for each in tried
            ],
            numbers={1, 2, 3, 4},
            caption="Settings that were tried",
        )
        body += "".join(
            f'<p class="soft">{text(setting_value(each["value"]))}: {text(each["note"])}.</p>'
            for each in tried
            if "note" in each
        )
    if kept:
        items = "".join(
            f"<li><b>{text(setting_name(each['axis']))}</b>: kept at "
            f"{text(setting_value(each['kept'], each['axis']))}; {text(each['why'])}</li>"
            for each in kept
        )
        body += f"<h3>Not measured</h3><ul>{items}</ul>"
    return section("settings", "Settings", body)


def _constraints(plan: dict[str, Any]) -> str:
    found = plan.get("constraints") or ()
    items = "".join(
        f"<li>{text(each['text'])}"
        + ("; <b>this one holds the plan back</b>" if each.get("binding") else "")
        + "</li>"
        for each in found
    )
    return f"<h3>Constraints</h3><ul>{items}</ul>" if items else ""


def money(findings: Findings) -> str:
    """Cost of training and serving, memory, purchases."""
    plan = findings.plan
    cost, serving = plan.get("cost") or {}, plan.get("serving") or {}
    rows = _cost_rows(cost) + _serving_rows(serving, cost.get("currency"))
    body = ""
    if rows:
        body = table(
            ["what", "how much", "from"], rows, numbers={1}, caption="Cost of training and serving"
        )
    return section("money", "Money, time and memory", body + _memory(plan) + _purchases(plan))


def _cost_rows(cost: dict[str, Any]) -> list[list[str]]:
    source = {"ledger": "measured in this ledger", "table": "from the table of accelerators"}
    known: list[tuple[str, Callable[[Any], str], str]] = [
        ("hardware", lambda v: hardware_of(cost), ""),
        (
            "utilisation",
            lambda v: f"{100 * v:.0f} %",
            source.get(str(cost.get("utilisation_from")), ""),
        ),
        ("flops_per_second", lambda v: f"{v:.3g} FLOP/s", "sustained, all devices"),
        ("hours", lambda v: f"{v:.3g} h", "training"),
        ("price_per_hour", lambda v: amount(v, cost.get("currency")), "all devices, an hour"),
        ("money", lambda v: amount(v, cost.get("currency")), "training"),
        ("energy_kwh", lambda v: f"{v:.3g} kWh", "estimate"),
        ("carbon_kg", lambda v: f"{v:.3g} kg CO2e", "estimate"),
    ]
    labels = {"flops_per_second": "speed", "energy_kwh": "energy", "carbon_kg": "carbon"}
    return [
        [labels.get(name, name.replace("_", " ")), said(cost[name]), where]
        for name, said, where in known
        if cost.get(name) is not None
    ]


def _serving_rows(serving: dict[str, Any], currency: str | None) -> list[list[str]]:
    if not serving:
        return []
    prompt, output = serving.get("prompt_tokens"), serving.get("output_tokens")
    each = f"{prompt} tokens in, {output} out a request" if prompt and output else ""
    rows = [["served", f"{count(serving['tokens'])} tokens", each]]
    if serving.get("flops_per_token") is not None:
        rows.append(["serving, a token", f"{serving['flops_per_token']:.3g} FLOPs", ""])
    if serving.get("seconds_per_million") is not None:
        rows.append(
            ["serving, a million tokens", f"{serving['seconds_per_million']:.3g} s", "at best"]
        )
    if serving.get("money") is not None:
        rows.append(["serving", amount(serving["money"], currency), "all tokens served"])
    return rows


def _memory(plan: dict[str, Any]) -> str:
    memory = plan.get("memory") or {}
    if not memory.get("total_bytes"):
        return ""
    limit = memory.get("limit_bytes")
    held = f" of {_size(limit)} there are" if limit else ""
    parts = {name: size for name, size in memory.get("parts", {}).items() if size}
    spec = {
        "title": f"Memory while training: {_size(memory['total_bytes'])}{held}",
        "alt": "Memory of training by part, in megabytes",
        "height": 110,
        "x": {"title": "MB", "range": [0, max(memory["total_bytes"], limit or 0) / 1e6 * 1.02]},
        "y": {"categories": ["memory"]},
        "series": [
            figures.series_of("bars", name.replace("_", " "), position)
            | {"x": [size / 1e6], "y": ["memory"], "text": [_size(size)]}
            for position, (name, size) in enumerate(parts.items())
        ],
    }
    return chart(spec)


def _purchases(plan: dict[str, Any]) -> str:
    rows = [
        [
            each["source"],
            amount(each["price"], each.get("currency")),
            _size(each["bytes"]) if each.get("bytes") else "",
            "not tried" if each["worth"] is None else f"{each['worth']:.4f}",
            "bought" if each.get("bought") else "left",
        ]
        for each in plan.get("purchases") or ()
    ]
    if not rows:
        return ""
    return "<h3>Data on offer</h3>" + table(
        ["source", "price", "full size", f"lowers {plan['y']} by", "decision"],
        rows,
        numbers={1, 2, 3},
        caption="Data on offer, and what each purchase is worth",
    )


def _size(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else megabytes(size)


def measure_next(findings: Findings) -> str:
    """The small runs most worth their cost."""
    found = findings.plan.get("next") or {}
    if not found:
        return ""
    why = str(found.get("why") or "").rstrip(".")
    if found.get("stop"):
        body = f"<p><b>Nothing more is worth measuring:</b> {text(why)}.</p>"
    else:
        body = f"<p>{text(why[:1].upper() + why[1:])}.</p>"
    rows = [
        [
            findings.words.short(run["mixture"]),
            count(run["params"]),
            count(run["tokens"]),
            f"{run['flops']:.2e}",
            f"{run['value']:.2g}" + (" (not yet tried)" if run.get("guess") else ""),
            f"{run['per_cost']:.2g}",
        ]
        for run in found.get("runs") or ()
    ]
    if rows and not found.get("stop"):
        body += table(
            ["data", "params", "tokens", "FLOPs", "expected fall of regret", "per cost"],
            rows,
            numbers={1, 2, 3, 4, 5},
            caption="Small runs most worth their cost",
            strong=0,
        )
    return section("next", "What to measure next", body)
