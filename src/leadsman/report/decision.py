"""The head of the report: track record in a line, then the decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leadsman.humanize import DataWords, count, percent, way_and_mixture
from leadsman.report.figures import params_of, unit_of
from leadsman.report.markup import card, text
from leadsman.report.read import Findings

FEW = 10
"""Below this many scored forecasts, coverage says little."""


def record_strip(findings: Findings) -> str:
    """How far forecasts of this ledger could be trusted so far, in one line above all else."""
    register = findings.register
    if register.fault is not None:
        fault = register.fault
        said = (
            f'<b class="bad">The register of forecasts was tampered with: entry {fault.number} '
            f"{text(fault.why)}.</b> <span>No track record is shown.</span>"
        )
        return _strip(said)
    record, more = register.record, " class='more'"  # left out where there is little room
    if record is None:
        waiting = f"{register.pending} forecasts wait for their runs" if register.pending else ""
        return _strip(
            f"<span><b>Track record here:</b> none yet. {waiting}</span>"
            "<span>Intervals are calibrated on the public runs of the back-tests.</span>"
        )
    parts = [
        f"<span{'' if level == '0.95' else more}>{100 * float(level):.0f} % interval held "
        f"<b>{hits} of {record.count}</b></span>"
        for level, hits in record.hits.items()
    ]
    parts.append(f"<span>mean error <b>{100 * record.mean_absolute_error:.1f} %</b></span>")
    width = 100 * record.sharpness["0.95"]
    parts.append(f"<span{more}>95 % interval <b>{width:.1f} %</b> wide (median)</span>")
    if record.count < FEW:
        parts.append("<span>too few to judge by</span>")
    return _strip("<span><b>Track record here</b></span>" + "".join(parts))


def _strip(inner: str) -> str:
    return f'<div class="strip"><div class="record" id="track-record-line">{inner}</div></div>'


def decision(findings: Findings) -> str:
    """What to run, in one sentence, and the numbers behind it."""
    name = f'<p class="eyebrow">{text(findings.name)}</p>'
    plan = findings.plan
    if not plan:
        return (
            f"{name}<h1>No decision yet</h1>"
            "<p>The soundings are not finished; this page shows what is known so far.</p>"
        )
    chosen = plan["chosen"]
    forecast = chosen["forecast"]
    return (
        f"{name}<h1>{what_to_run(plan, findings.words)}</h1>"
        f'<p class="lead">{_promise(plan, findings.words)}</p>'
        f'<ul class="cards">{"".join(card(*each) for each in _cards(findings))}</ul>'
        f'<p class="soft">{_settings(plan)}</p>{warnings_of(forecast)}'
    )


def what_to_run(plan: dict[str, Any], words: DataWords) -> str:
    """Size, tokens and data; where base models were weighed, what to begin with too."""
    recipe, size = plan["chosen"]["recipe"], f"{count(params_of(plan['chosen']))} parameters"
    way, mixture = _way_and_mixture(recipe)
    data = words.after_tokens(mixture)
    if way:
        verb = f"{text(way[0].upper() + way[1:])} ({size})"
    else:
        verb = f"Start fresh: train {size}" if plan.get("starts") else f"Train {size}"
    return f"{verb} on {count(recipe['tokens'])} tokens{text(data)}"


def _way_and_mixture(recipe: dict[str, Any]) -> tuple[str, str]:
    return way_and_mixture(recipe["mixture"]["name"], recipe.get("start", ""))


def _promise(plan: dict[str, Any], words: DataWords) -> str:
    """The forecast in words, with what it is compared to."""
    forecast = plan["chosen"]["forecast"]
    low, high = forecast["intervals"]["0.8"]
    said = (
        f"It should give <b>{forecast['median']:.3f} {text(unit_of(plan['y']))}</b>, with four "
        f"chances in five between {low:.3f} and {high:.3f}."
    )
    saving = plan.get("saving")
    if saving:
        naive = text(words.short(_way_and_mixture(plan["naive"]["recipe"])[1]))
        share = f"{100 * (1 - saving['fraction']):.0f}\u00a0%"
        said += (
            f" With {share} of the compute{' or less' if saving['censored'] else ''} it reaches "
            f"what training on {naive} reaches with all of it."
        )
    return said


def _cards(findings: Findings) -> Iterator[tuple[str, ...]]:
    plan = findings.plan
    forecast = plan["chosen"]["forecast"]
    low, high = forecast["intervals"]["0.95"]
    yield ("forecast", f"{forecast['median']:.3f}", f"95 %: {low:.3f} to {high:.3f}")
    yield from _outcome(findings)
    cost = plan.get("cost") or {}
    if cost.get("money") is not None:
        hours = f"{cost['hours']:.3g} hours" if cost.get("hours") is not None else ""
        on = f" on {hardware_of(cost)}" if cost.get("hardware") else ""
        yield ("cost", amount(cost["money"], cost.get("currency")), hours + on)
    elif cost.get("hours") is not None:
        yield ("time", f"{cost['hours']:.3g} hours", cost.get("hardware") or "on this machine")
    else:
        yield ("training compute", f"{plan['budget_flops']:.2e}", "FLOPs")
    if plan.get("saving"):
        saving = plan["saving"]
        more = "at least " if saving["censored"] else ""
        yield (
            "compute saved at equal quality",
            f"{more}{100 * saving['fraction']:.0f} %",
            f"80 %: {100 * saving['low']:.0f} to {100 * saving['high']:.0f} %, against "
            f"{findings.words.short(_way_and_mixture(plan['naive']['recipe'])[1])}",
        )
    sure = plan.get("certainty")
    if sure:
        detail = (
            f"{percent(sure['size'])} that its size is within {sure['tolerance']:.2g} of the best"
        )
        yield ("chance that data and settings are best", percent(sure["data"]), detail)


def _outcome(findings: Findings) -> Iterator[tuple[str, ...]]:
    for score in findings.register.scores:
        if score.forecast.id == findings.plan["chosen"]["forecast"]["id"]:
            inside = score.inside["0.95"]
            yield (
                "the real run gave",
                f"{score.actual:.3f}",
                f"{'inside' if inside else 'outside'} the 95 % interval; the forecast was "
                f"{100 * score.relative_error:+.1f} % off",
                "good" if inside else "bad",
            )


def amount(money: float, currency: str | None) -> str:
    """Money as people write it: ``1.11 USD``, ``12,400 USD``."""
    return f"{money:,.{0 if abs(money) >= 1000 else 2}f} {currency or ''}".strip()


def hardware_of(cost: dict[str, Any]) -> str:
    """``8 x H100``."""
    devices = cost.get("devices") or 1
    return f"{devices} x {cost['hardware']}" if devices > 1 else str(cost["hardware"])


def _settings(plan: dict[str, Any]) -> str:
    recipe = plan["chosen"]["recipe"]
    shape = recipe["shape"]
    methods = "".join(f", {name}" for name in recipe.get("methods", {}))
    return (
        f"{shape['layers']} layers, width {shape['width']}, "
        f"{shape['heads']} head{'s' if shape['heads'] != 1 else ''}; "
        f"{text(recipe['optimizer'])}{text(methods)}, learning rate {recipe['lr']:.3g}, batch "
        f"{count(recipe['batch_tokens'])} tokens, {text(recipe['schedule']['name'])} schedule, "
        f"{text(recipe['precision'])}. Training compute {plan['budget_flops']:.2e} FLOPs; the "
        f"small runs cost {plan['sounding_flops']:.2e}."
    )


def warnings_of(forecast: dict[str, Any]) -> str:
    """What the forecast itself warns of."""
    said = "".join(f"<li>{text(each)}</li>" for each in forecast.get("warnings", ()))
    if not said:
        return ""
    title = "What the forecast warns of"
    return f"<details class='note'><summary>{title}</summary><ul>{said}</ul></details>"
