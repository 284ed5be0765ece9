"""What every reader shares: its options, and the checks a batch passes before it is a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from leadsman.corpus.readers.rejects import Rejects
from leadsman.corpus.shards.writer import core_columns
from leadsman.errors import InputError

MAX_DOCUMENT_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read the files of one source.

    Attributes:
        name: of the source, where rows do not name their own.
        source: name for all rows, or ``None``.
        metadata: other fields to keep.
        text_suffixes: file names read as plain text.
        max_document_bytes: longer documents are unusable.
        text_field: where rows keep their text, see :mod:`leadsman.corpus.readers.text_field`.

    Raises:
        InputError: a field that cannot be had.
    """

    name: str
    source: str | None
    metadata: tuple[str, ...]
    text_suffixes: tuple[str, ...]
    max_document_bytes: int = MAX_DOCUMENT_BYTES
    text_field: str = "text"

    def __post_init__(self) -> None:
        if self.text_field in ("", "id", "source"):
            raise InputError(f"cannot be {self.text_field!r}", column="text_field")
        if taken := {"id", "text", "source"} & set(self.metadata):
            raise InputError(
                f"every document has its own {min(taken)!r}; leave it out", column="metadata"
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """What is read of a row."""
        return ("id", self.text_field.partition(".")[0], self.text_field, "source", *self.metadata)

    @property
    def too_long(self) -> str:
        """Why a document that is too long is unusable."""
        return f"longer than max_document_bytes ({self.max_document_bytes})"


def short_name(name: str, root: str) -> str:
    """Name of a file within its source; ids that are made begin with it."""
    inside = name.removeprefix(root).lstrip("/") if root and name.startswith(root) else ""
    return inside or name.rpartition("/")[2]


Reader = Callable[[Any, str, str, ReadOptions, Rejects], Iterator[pa.RecordBatch]]
"""Called with file system, root of the source, name of the file, options, and the quarantine."""


def rows_to_batch(
    rows: Sequence[dict[str, Any]],
    numbers: Sequence[int],
    file: str,
    options: ReadOptions,
    rejects: Rejects,
) -> Iterator[pa.RecordBatch]:
    """Documents made one by one, as a batch.

    Args:
        rows: with ``id``, ``text`` and metadata; may be empty.
        numbers: where each stands in the file, 1-based.
        file: the file's name.
        options: of the source.
        rejects: where repeated ids go.
    """
    if not rows:
        return
    name = options.source or options.name
    names = ("id", "text", *options.metadata)
    columns = {column: [row.get(column) for row in rows] for column in names}
    batch = pa.RecordBatch.from_pydict(
        {
            column: pa.array(values, pa.large_string() if column == "text" else pa.string())
            for column, values in columns.items()
        }
    )
    yield from rejects.unique(core_columns(batch, source=name), numbers, file)
