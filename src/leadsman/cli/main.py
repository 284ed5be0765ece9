"""The ``leadsman`` command: gathers the command groups and turns errors into one sentence.

A command group is a module with ``register(app)``. Modules are thin and import their rooms inside
the commands, so that ``leadsman --help`` stays fast.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from leadsman._version import __version__
from leadsman.errors import LeadsmanError

app = typer.Typer(
    help="Sound before you sail: select data, forecast a training run with intervals that hold, "
    "plan it, do it, and score the forecast.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leadsman {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Forecast a training run before paying for it."""
    if debug:
        os.environ["LEADSMAN_DEBUG"] = "1"


GROUPS = (
    "demo",
    "plan",
    "decide",
    "cost",
    "report",
    "register",
    "train",
    "forecast",
    "corpus",
    "dedup",
    "select",
    "mix",
    "runs",
    "methods",
)
"""Modules of this room, in the order of the help page."""


INTERRUPTED = 130
"""Exit code of a command that was interrupted."""


def _register_groups() -> None:
    for name in GROUPS:
        import_module(f"leadsman.cli.{name}").register(app)


_register_groups()


STORES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "adlfs", "s3fs")
"""Packages whose errors are about a place outside: credentials, a network, a bucket."""


def _from_outside(error: Exception) -> bool:
    """Whether an error is about files, disks or remote stores rather than this program."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in STORES


def run() -> None:
    """Entry point: exit code 2 and one sentence for every error the user can mend."""
    try:
        app()
    except LeadsmanError as error:
        if os.environ.get("LEADSMAN_DEBUG"):
            raise
        typer.secho(f"leadsman: {error}", err=True, fg="red")
        sys.exit(2)
    except Exception as error:
        if os.environ.get("LEADSMAN_DEBUG") or not _from_outside(error):
            raise
        said = str(error) or type(error).__name__
        typer.secho(f"leadsman: {said} (--debug shows where)", err=True, fg="red")
        sys.exit(2)
    except SystemExit as ended:  # typer ends so on Ctrl-C, without a word
        if ended.code == INTERRUPTED:
            said = "\nleadsman: stopped; the same command continues from what is done."
            typer.secho(said, err=True)
        raise
