"""From an Arrow text column to what the kernels take: buffers, without copying the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from leadsman.corpus.kernels import tokens as kernels
from leadsman.corpus.kernels.unicode import Unit, tables
from leadsman.errors import InputError


@dataclass(frozen=True)
class TextColumn:
    """A text column as raw buffers.

    Attributes:
        data: uint8, all documents one after the other (and perhaps more around them).
        offsets: int64, shape (n + 1,): where each document begins and ends in ``data``.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: pa.Array) -> TextColumn:
        """View an Arrow ``string``, ``large_string`` or binary array; a null is an empty text.

        Raises:
            InputError: the column holds something else.
        """
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            width: type[np.signedinteger[Any]] = np.int32
        elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            width = np.int64
        else:
            raise InputError(f"must be text, not {kind}", column="text")
        _, places, values = column.buffers()
        if len(column) == 0 or values is None:
            return cls(np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64))
        offsets = np.frombuffer(places, dtype=width)[
            column.offset : column.offset + len(column) + 1
        ]
        return cls(np.frombuffer(values, dtype=np.uint8), offsets.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def buffers(self, unit: Unit = "word") -> kernels.Text:
        """What the kernels take."""
        return kernels.Text(self.data, self.offsets, *tables(unit))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bytes in each document, shape (n,)."""
        return np.diff(self.offsets)


def texts(batch: pa.RecordBatch) -> TextColumn:
    """The ``text`` column of a batch.

    Raises:
        InputError: there is none; the message names the columns that are there.
    """
    if "text" not in batch.schema.names:
        raise InputError(
            f"there is no column 'text'; the columns are {', '.join(batch.schema.names)}",
            column="text",
        )
    return TextColumn.of(batch.column("text"))


def tokens(text: str | bytes) -> list[str]:
    """The tokens of a text as the kernels see them (before lower-casing).

    >>> tokens("It's 3.5 °C in 東京.")
    ['It', "'", 's', '3', '.', '5', '°', 'C', 'in', '東', '京', '.']
    """
    raw = text.encode() if isinstance(text, str) else text
    data = np.frombuffer(raw, dtype=np.uint8)
    size = len(raw) + 1
    out, spans = np.empty(size, np.uint64), np.empty((size, 2), np.int64)
    column = TextColumn(data, np.array([0, len(raw)]))
    count, _ = kernels.next_tokens(column.buffers(), 0, len(raw), out, spans)
    return [raw[start:end].decode(errors="replace") for start, end in spans[:count]]


def ngram_counts(
    column: TextColumn, *, n: int, counts: npt.NDArray[np.int64], unit: Unit = "word"
) -> int:
    """Add the hashed 1- to n-grams of a column to ``counts``; return how many there were.

    >>> counts = np.zeros(1000, np.int64)
    >>> ngram_counts(TextColumn.of(pa.array(["to be"])), n=3, counts=counts, unit="character")
    12
    """
    return kernels.count_ngrams(column.buffers(unit), n, counts)


def ngram_sums(
    column: TextColumn, *, n: int, weights: npt.NDArray[np.float64], unit: Unit = "word"
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """For each document: sum of its n-grams' bucket weights, and its number of n-grams."""
    sums, totals = np.empty(len(column)), np.empty(len(column), np.int64)
    kernels.sum_ngrams(column.buffers(unit), n, weights, sums, totals)
    return sums, totals


def normalised_hashes(column: TextColumn) -> npt.NDArray[np.uint64]:
    """128 bits of hash of each document's normalised text, shape (n, 2)."""
    out = np.empty((len(column), 2), np.uint64)
    kernels.normalised_hashes(column.buffers(), out)
    return out


def token_counts(column: TextColumn, *, unit: Unit = "word") -> npt.NDArray[np.int64]:
    """Tokens in each document, shape (n,)."""
    out = np.empty(len(column), np.int64)
    kernels.count_tokens(column.buffers(unit), out)
    return out


def ngram_matrix(
    column: TextColumn, *, n: int, buckets: int, unit: Unit = "word"
) -> sparse.csr_array:
    """Share of each hashed bucket among a document's 1- to n-grams, shape (n documents, buckets).

    >>> import pyarrow as pa
    >>> ngram_matrix(TextColumn.of(pa.array(["a b a", ""])), n=1, buckets=1000).sum(axis=1)
    array([1., 0.])
    """
    counts = token_counts(column, unit=unit)
    indices = np.empty(n * int(counts.sum()), np.int64)
    ends = np.empty(len(column), np.int64)
    kernels.list_ngrams(column.buffers(unit), n, buckets, indices, ends)
    starts = np.concatenate([[0], ends]).astype(np.int64)
    filled = int(starts[-1])
    shares = np.repeat(1.0 / np.maximum(np.diff(starts), 1), np.diff(starts))
    shape = (len(column), buckets)
    matrix = sparse.csr_array((shares, indices[:filled], starts), shape=shape)
    matrix.sum_duplicates()
    return matrix
