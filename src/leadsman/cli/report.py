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
    app.command("board")(board)
    app.command("export")(export)


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


def board(
    project: Project = Path("leadsman.yaml"),
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to serve on; the default is this machine only.")
    ] = "127.0.0.1",
    forecast: Annotated[
        bool, typer.Option(help="Forecast anew as runs finish (takes a core for seconds).")
    ] = True,
) -> None:
    """Serve a live page of a running plan; it writes nothing. Ctrl-C ends it."""
    import signal

    from leadsman.plan.interim import interim_forecast
    from leadsman.report.board import State, make_server

    work = work_of(project)
    state = State(work, (lambda: interim_forecast(work)) if forecast else None)
    server = make_server(state, host=host, port=port)
    typer.echo(f"Board: http://{host}:{server.server_address[1]}/  (Ctrl-C ends it)")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        typer.echo("Board ended; the plan goes on.")
    finally:
        server.server_close()


def export(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe.json, a plan.json, or a project (its chosen recipe).")
    ],
    to: Annotated[str, typer.Option("--to", help="hf-trainer, axolotl, torchtitan or litgpt.")],
    out: Annotated[Path, typer.Option("--out", help="Directory for the files.")],
    weights: Annotated[
        bool, typer.Option(help="Write the initial weights too (the size of the model).")
    ] = True,
) -> None:
    """Write a recipe for another trainer; NOTES.md says how to start it and what it cannot do."""
    from leadsman.plan.export import export_recipe, read_chosen

    for path in export_recipe(read_chosen(recipe), to, out, weights=weights):
        typer.echo(str(path))


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
