"""Sections about text and runs: mixtures, what was kept, curves, track record, how to repeat it."""

from __future__ import annotations

import json

from leadsman._version import __version__
from leadsman.humanize import count, megabytes
from leadsman.report import figures_data
from leadsman.report.decision import FEW
from leadsman.report.markup import chart, examples, section, table, text
from leadsman.report.read import Findings


def mixtures(findings: Findings) -> str:
    """Where the tokens come from, and what was selected."""
    if not findings.stages.get("mixtures", {}).get("by_source"):
        return ""
    body = _meanings(findings) + chart(figures_data.mixture_figure(findings)) + _passes(findings)
    if "select" in findings.stages:
        chosen = findings.stages["select"]
        body += (
            f"<p>{text(findings.words.selector)} kept {chosen['documents']:,} documents "
            f"({megabytes(chosen['bytes'])}) for <b>{text(findings.words.short('selected'))}</b>. "
            f"{text(chosen['note'])}</p>"
        )
        body += examples("Documents it ranks highest", chosen["examples"])
    return section("mixture", "Mixture", body)


def _meanings(findings: Findings) -> str:
    """The names of the mixtures in the project file and the ledger, and what people read here."""
    words = findings.words
    names = list(findings.stages["mixtures"]["by_source"])
    chosen = findings.plan["chosen"]["recipe"]["mixture"]["name"] if findings.plan else names[0]
    said = "".join(
        f"<li><b>{text(words.short(name))}</b>: tokens{text(words.after_tokens(name))}; called "
        f"<code>{text(name)}</code> in the project file and the ledger</li>"
        for name in dict.fromkeys([*names, chosen])
    )
    return f"<ul>{said}</ul>"


def _passes(findings: Findings) -> str:
    """What the chosen run draws from each token set, and how often it passes over it."""
    found = findings.plan.get("epochs") or ()
    if not found:
        return ""
    rows = [
        [
            findings.words.token_set(each["source"]),
            f"{100 * each['share']:.0f} %",
            count(each["tokens"]),
            count(each["full_tokens"]),
            f"{each['epochs']:.2g}",
            f"{each['readable_epochs']:.2g}",
        ]
        for each in found
    ]
    header = [
        "text",
        "share",
        "tokens drawn",
        "full size",
        "passes",
        "passes over what is readable",
    ]
    body = "<h3>The chosen run</h3>" + table(
        header, rows, numbers={1, 2, 3, 4, 5}, caption="Text of the chosen run"
    )
    said = [each["warning"] for each in found if "warning" in each]
    return body + "".join(f"<p class='note'>{text(each)}</p>" for each in said)


def sources(findings: Findings) -> str:
    """What was read, dropped and kept."""
    prepared = findings.stages.get("prepare", {})
    if not prepared.get("sources"):
        return ""
    rows = [
        [
            source["name"],
            f"{source['documents']:,}",
            megabytes(source["bytes"]),
            megabytes(source["declared_bytes"]),
            f"{source['duplicates']:,}",
            f"{source['contaminated']:,}",
            f"{source['kept_documents']:,}",
            megabytes(source["kept_bytes"]),
        ]
        for source in prepared["sources"]
    ]
    header = [
        "source",
        "documents",
        "readable",
        "full size",
        "duplicates",
        "in target",
        "kept",
        "text",
    ]
    body = (
        "<p>Exact and near duplicates are dropped, and so is every document that the target holds "
        "too. Each near duplicate was checked by its true Jaccard similarity.</p>"
        + chart(figures_data.sources_figure(findings))
        + table(header, rows, numbers=set(range(1, 8)), caption="What became of each source")
    )
    for name in prepared.get("skipped", []):
        body += f"<p class='soft'>Skipped: {text(name)}</p>"
    for warning in prepared.get("warnings", []):
        body += f"<p class='note'>{text(warning)}</p>"
    body += examples("Documents that were dropped, and why", prepared.get("examples", []))
    return section("data", "Data kept and dropped", body)


def runs(findings: Findings) -> str:
    """Loss curves, and runs that failed."""
    if findings.runs.is_empty():
        return ""
    figure = figures_data.curves_figure(findings)
    body = chart(figure) if figure else ""
    failed = findings.runs.filter(findings.runs["status"] != "finished")
    if len(failed):
        rows = [[row["id"], row["role"], row["reason"]] for row in failed.iter_rows(named=True)]
        body += "<h3>Runs that failed</h3>" + table(
            ["run", "role", "why"], rows, numbers=set(), caption="Runs that failed"
        )
    return section("runs", "Runs", body)


def track_record(findings: Findings) -> str:
    """Every registered forecast that has a result."""
    register = findings.register
    if register.record is None:
        return ""
    record = register.record
    rows = [
        [
            f"{100 * float(level):.0f} %",
            f"{hits} of {record.count}",
            f"{100 * record.coverage(float(level)):.0f} %",
            f"{100 * record.sharpness[level]:.1f} %",
        ]
        for level, hits in record.hits.items()
    ]
    few = " With so few, this says little yet." if record.count < FEW else ""
    body = (
        f"<p>{record.count} forecasts were written down before their runs and scored after them; "
        f"{register.pending} more have no result yet.{few} Mean error "
        f"{100 * record.mean_absolute_error:.2f} %, bias "
        f"{100 * record.bias:+.2f} %, CRPS {100 * record.relative_crps:.2f} % of the result.</p>"
    )
    header = ["interval", "held", "coverage", "width (median)"]
    body += table(header, rows, numbers={1, 2, 3}, caption="Coverage and sharpness by level")
    body += chart(figures_data.score_figure(findings))
    over_time = figures_data.error_figure(findings)
    body += chart(over_time) if over_time else ""
    body += _scores_table(findings)
    body += (
        "<p class='soft'>The register is a chain of hashes: a forecast that is edited, removed or "
        "dated back later shows in <code>leadsman register verify</code>. Head of the chain when "
        f"this page was written: <code>{text(register.head)}</code></p>"
    )
    return section("track-record", "Track record", body)


def _scores_table(findings: Findings) -> str:
    rows = []
    for score in findings.register.scores:
        run = findings.run(score.forecast.id)
        low, high = score.forecast.intervals["0.95"]
        data = findings.words.short(run.get("mixture") or "")
        name = f"{run['role']}: {data}" if data else score.forecast.id
        rows.append(
            [
                name,
                findings.register.times[score.forecast.id][:16].replace("T", " "),
                f"{score.forecast.median:.4f}",
                f"{low:.4f} to {high:.4f}",
                f"{score.actual:.4f}",
                f"{100 * score.relative_error:+.2f} %",
                ", ".join(f"{100 * float(k):.0f} %" for k, held in score.inside.items() if held)
                or "none",
            ]
        )
    header = ["run", "registered (UTC)", "forecast", "95 %", "actual", "error", "held"]
    return table(header, rows, numbers={2, 3, 4, 5}, caption="Registered forecasts and results")


def reproduce(findings: Findings) -> str:
    """Everything needed to do it again."""
    body = ""
    if findings.project_file:
        body += (
            "<p>The project file; <code>leadsman plan leadsman.yaml</code> does the same again.</p>"
            f"<pre tabindex='0'>{text(findings.project_file)}</pre>"
        )
    if findings.plan:
        recipe = json.dumps(findings.plan["chosen"]["recipe"], indent=1, sort_keys=True)
        body += (
            "<p>The chosen recipe; <code>leadsman export</code> writes it for another trainer.</p>"
            f"<pre tabindex='0'>{text(recipe)}</pre>"
        )
    if not findings.runs.is_empty() and "device" in findings.runs.columns:
        devices = sorted({str(each) for each in findings.runs["device"].drop_nulls() if each})
        if devices:
            body += f"<p class='soft'>Runs were made on {text(', '.join(devices))}.</p>"
    return section("reproduce", f"To reproduce (Leadsman {__version__})", body)
