"""Quarantine for rows that cannot be read: counted, kept with file, line and reason.

CORPUS/rejects/rows-00000.parquet   file, line, reason, excerpt
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from leadsman.corpus.readers.seen_ids import SeenIds
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


class NothingReadableError(InputError):
    """A source of which not one document can be read.

    Attributes:
        first: its first reject.
        count: its rejects.
    """

    def __init__(self, first: Reject, count: int) -> None:
        super().__init__(f"no document can be read; the first problem: {first}")
        self.first, self.count = first, count


class Rejects:
    """Collects rejects; writes them as it goes if it is given a place.

    Args:
        directory: the corpus they were meant for; ``None`` only counts.

    Attributes:
        count: rows and files that could not be used.
        first: the first of them.
        first_of_source: the first of the source that is read.
        skipped: what was passed over though nothing is wrong with it, by reason.
        left_out: fields of the rows that were not asked for.
    """

    def __init__(self, directory: Directory | None = None) -> None:
        self.directory = directory
        self.count = 0
        self.first: Reject | None = None
        self.first_of_source: Reject | None = None
        self.skipped: Counter[str] = Counter()
        self.left_out: set[str] = set()
        self._ids = SeenIds()
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
        self.first_of_source = self.first_of_source or reject
        if self.directory is not None:
            self._pending.append(reject)
            if len(self._pending) >= _ROWS_A_FILE:
                self.flush()

    def begin_source(self) -> None:
        """Ids must be unique within a source, not across sources."""
        self._ids = SeenIds()
        self.first_of_source = None

    def skip(self, reason: str) -> None:
        """Count something that is no document, and no fault."""
        self.skipped[reason] += 1

    def leave_out(self, there: Iterable[str], kept: Sequence[str]) -> None:
        """Note the fields of a file that a corpus will not have."""
        self.left_out |= set(there) - set(kept)

    def unique(
        self, batch: pa.RecordBatch, numbers: Sequence[int], file: str
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a batch whose ids were not seen before; the others are quarantined.

        Args:
            batch: with ``id``.
            numbers: line or row of each in the file, 1-based.
            file: where they stand.
        """
        fresh = self._ids.add(batch.column("id"))
        if fresh.all():
            yield batch
            return
        for row in np.flatnonzero(~fresh).tolist():
            repeated = batch.column("id")[row].as_py()
            self.add(file, numbers[row], f"the id {repeated!r} was there before")
        if fresh.any():
            yield batch.filter(pa.array(fresh))

    def flush(self) -> None:
        """Write what is still in memory."""
        if self.directory is None or not self._pending:
            return
        write_rejects(self.directory, self._files, self._pending)
        self._files += 1
        self._pending = []

    def check(self, documents: int, max_reject_rate: float, *, before: int = 0) -> None:
        """Stop the job if too large a share of the rows was rejected.

        Args:
            documents: rows that were good.
            max_reject_rate: largest share of all rows that may be rejected, in [0, 1].
            before: how many had been rejected before these rows were read.

        Raises:
            InputError: the share is larger; the message has the first reject.
        """
        count = self.count - before
        rows = documents + count
        if self.first is not None and count > max_reject_rate * rows:
            self.flush()
            raise InputError(
                f"{count} of {rows} rows cannot be used, more than max_reject_rate "
                f"{max_reject_rate:g} allows; the first: {self.first}"
            )


def write_rejects(directory: Directory, number: int, rejects: Sequence[Reject]) -> None:
    """Write one file of rejects of a corpus."""
    frame = pl.DataFrame(
        [astuple(reject) for reject in rejects],
        schema=["file", "line", "reason", "excerpt"],
        orient="row",
    )
    directory.write_frame(f"rejects/rows-{number:05d}.parquet", frame)
