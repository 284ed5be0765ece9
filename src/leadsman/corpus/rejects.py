"""Quarantine for rows that cannot be read: counted, kept with file, line and reason.

CORPUS/rejects/rows-00000.parquet   file, line, reason, excerpt
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import polars as pl

from leadsman.errors import InputError
from leadsman.files import Directory

EXCERPT = 200
_ROWS_A_FILE = 10_000


@dataclass(frozen=True)
class Reject:
    """One row, or one file, that could not be read.

    Attributes:
        file: where it stands.
        line: 1-based line or row; 0 for the file as a whole.
        reason: why, for a person.
        excerpt: its beginning, at most 200 characters.
    """

    file: str
    line: int
    reason: str
    excerpt: str = ""

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.reason}"


class Rejects:
    """Collects rejects; writes them as it goes if it is given a place.

    Args:
        directory: the corpus they were meant for; ``None`` only counts.
    """

    def __init__(self, directory: Directory | None = None) -> None:
        self.directory = directory
        self.count = 0
        self.first: Reject | None = None
        self._pending: list[Reject] = []
        self._files = 0

    def add(self, file: str, line: int, reason: str, excerpt: str | bytes = "") -> None:
        """Quarantine one row (``line`` 0: the whole file)."""
        if isinstance(excerpt, bytes):
            excerpt = excerpt[: 4 * EXCERPT].decode(errors="replace")
        # What JSON allows but UTF-8 does not (lone surrogates) must not stop the report.
        excerpt = excerpt[:EXCERPT].encode(errors="replace").decode()
        reject = Reject(file, line, reason, excerpt)
        self.count += 1
        self.first = self.first or reject
        if self.directory is not None:
            self._pending.append(reject)
            if len(self._pending) >= _ROWS_A_FILE:
                self.flush()

    def flush(self) -> None:
        """Write what is still in memory."""
        if self.directory is None or not self._pending:
            return
        frame = pl.DataFrame(
            [astuple(reject) for reject in self._pending],
            schema=["file", "line", "reason", "excerpt"],
            orient="row",
        )
        self.directory.write_frame(f"rejects/rows-{self._files:05d}.parquet", frame)
        self._files += 1
        self._pending = []

    def check(self, documents: int, max_reject_rate: float) -> None:
        """Stop the job if too large a share of the rows was rejected.

        Args:
            documents: rows that were good.
            max_reject_rate: largest share of all rows that may be rejected, in [0, 1].

        Raises:
            InputError: the share is larger; the message has the first reject.
        """
        rows = documents + self.count
        if self.first is not None and self.count > max_reject_rate * rows:
            self.flush()
            raise InputError(
                f"{self.count} of {rows} rows cannot be used, more than max_reject_rate "
                f"{max_reject_rate:g} allows; the first: {self.first}"
            )
