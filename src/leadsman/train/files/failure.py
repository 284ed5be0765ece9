"""A file whose values cannot be a run: a failed run in its ledger, with the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leadsman.errors import LeadsmanError
from leadsman.runs import Ledger, Run
from leadsman.train.files.schema import DataFile
from leadsman.train.provenance import now, written_with


@contextmanager
def failure_recorded(file: DataFile, path: Path, *, role: str, wanted: bool) -> Iterator[None]:
    """Write why the values of ``file`` cannot be, if ``wanted``; the error goes on.

    There is no recipe yet, so the run is named by the file's text.
    """
    try:
        yield
    except LeadsmanError as error:
        if wanted:
            failed = Run(
                id=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
                status="failed",
                reason=str(error),
                role=role,
                versions=written_with(),
                created=now(),
            )
            Ledger(str(path.parent / file.out / "ledger")).add(failed)
        raise
