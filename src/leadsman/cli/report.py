"""``leadsman report``, ``leadsman board``, ``leadsman export``: a project for people and tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[
    Path, typer.Argument(help="The project file, its directory, or the working directory.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("report")(report)


def report(
    project: Project = Path("leadsman.yaml"),
    out: Annotated[
        Path | None, typer.Option("--out", help="The HTML file; report.html beside the project.")
    ] = None,
) -> None:
    """Write the report again from what is stored; nothing is computed."""
    from leadsman.report import write_report

    work = work_of(project)
    typer.echo(f"Report: {write_report(work, out or work.parent / 'report.html')}")


def work_of(project: Path) -> Path:
    """The working directory of a project file, of its directory, or itself."""
    from leadsman.errors import InputError

    if not project.exists():
        raise InputError("there is no such project; `leadsman init DIR` makes one", file=project)
    if project.is_file():
        if project.suffix not in (".yaml", ".yml"):
            raise InputError("not a project; name its YAML file or its directory", file=project)
        project = project.parent
    for candidate in (project, project / "work"):
        if (candidate / "stages").is_dir():
            return candidate
    raise InputError(
        "nothing has been planned here yet; `leadsman plan` does that", file=project / "work"
    )
