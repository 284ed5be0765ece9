"""The report: one self-contained HTML file, the decision first. It opens without a network."""

from __future__ import annotations

import re
from importlib.resources import files as resources
from pathlib import Path

from leadsman._version import __version__
from leadsman.files import Directory
from leadsman.report import sections_data, sections_plan
from leadsman.report.decision import decision, record_strip
from leadsman.report.explore import explore
from leadsman.report.markup import text
from leadsman.report.read import Findings, read_findings

SCRIPTS = ("charts.js", "explore.js", "page.js")


def write_report(work: Path, out: Path) -> Path:
    """Write the report of a project's working directory.

    Args:
        work: the working directory; unfinished stages are left out of the page.
        out: the HTML file.

    Returns:
        ``out``.

    Raises:
        InputError: nothing has been done in ``work`` yet, a file in it is damaged, or ``out``
            cannot be written.
    """
    page = render(read_findings(work))
    Directory(str(out.parent)).write(out.name, page.encode())
    return out


def render(findings: Findings) -> str:
    """The page as one string of HTML."""
    parts = [
        sections_plan.forecast(findings),
        explore(findings),
        sections_plan.alternatives(findings),
        sections_plan.settings(findings),
        sections_plan.money(findings),
        sections_plan.measure_next(findings),
        sections_data.mixtures(findings),
        sections_data.sources(findings),
        sections_data.runs(findings),
        sections_data.track_record(findings),
        sections_data.reproduce(findings),
    ]
    body = "".join(parts)
    return document(
        f"{findings.name}: Leadsman report",
        f"{record_strip(findings)}<main id='main'>{decision(findings)}{_contents(body)}{body}"
        f"<footer>Written by Leadsman {__version__}. Nothing on this page needs a network.</footer>"
        "</main>",
        SCRIPTS,
    )


def document(title: str, body: str, scripts: tuple[str, ...]) -> str:
    """A whole page with the house style and these scripts inside it."""
    room = resources("leadsman.report")
    code = "\n".join((room / name).read_text(encoding="utf-8") for name in scripts)
    style = (room / "page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{text(title)}</title><link rel="icon" href="data:,"><style>{style}</style></head>'
        f'<body><a class="skip" href="#main">To the decision</a>{body}<script>{code}</script>'
        "</body></html>"
    )


def _contents(body: str) -> str:
    found = re.findall(r'<section id="([a-z-]+)"><h2>([^<]+)</h2>', body)
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in found)
    return f'<nav class="toc" aria-label="Contents">{links}</nav>' if len(found) > 1 else ""
