"""The ledger that a command reads: its option, and a sentence where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leadsman.runs import Ledger

LedgerOption = Annotated[
    str, typer.Option("--ledger", "-l", help="Ledger directory or URL (PROJECT/work/ledger).")
]


def open_ledger(location: str) -> Ledger:
    """A ledger that is there.

    Raises:
        InputError: there is no directory (of a URL nothing is known before it is read).
    """
    from leadsman.errors import InputError
    from leadsman.runs import Ledger

    if "://" not in location and not Path(location).is_dir():
        raise InputError(
            "there is no ledger here; name one with --ledger (a project keeps it in work/ledger)",
            file=location,
        )
    return Ledger(location)
