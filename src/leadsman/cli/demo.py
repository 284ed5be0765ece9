"""``leadsman demo``: a project made of this machine's own text, planned, done and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory of the demo project.")] = Path(
        "leadsman-demo"
    ),
    minutes: Annotated[
        float, typer.Option("--minutes", help="Length of the soundings on two cores.", min=0.1)
    ] = 6.0,
    seed: Annotated[int, typer.Option("--seed", help="Of text, order and weights.", min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes at once; 0: one a core.")] = 0,
) -> None:
    """Do the main job in small on text that is already here: sound, forecast, train, score.

    Writes a project (sources, target, YAML) to --out and does what
    `leadsman plan OUT/leadsman.yaml --do` would. Stopped at any moment, the same command goes on.
    """
    from leadsman.cli.plan import run_project
    from leadsman.cli.watch import TerminalWatcher
    from leadsman.engine import LocalEngine
    from leadsman.plan.demo import write_demo_project

    with TerminalWatcher() as watcher:
        project_file = write_demo_project(
            out, minutes=minutes, seed=seed, engine=LocalEngine(workers), watcher=watcher
        )
    run_project(project_file, do=True, dry_run=False, workers=workers)
