"""The noun of the room: a corpus of Parquet shards.

    CORPUS/shard-00000.parquet   id string, text large_string, source string, + metadata
           manifest.json         written last: a directory without it is not a corpus
           rejects/              what was dropped, a reason each (where something was)
           report.json           what was done (where something was)
           scores/               sidecar columns, one file a shard (where something was scored)
           .sketches/            of near-duplicate search, if made while the shards were written

Sizes are bytes of UTF-8 text unless they say otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from leadsman.corpus.shards.memory import release
from leadsman.errors import InputError
from leadsman.files import Directory

MANIFEST = "manifest.json"
FORMAT = "leadsman-corpus-1"
CORE_COLUMNS = ("id", "text", "source")


@dataclass(frozen=True)
class Extent:
    """How much of something there is.

    Attributes:
        documents: number of documents.
        text_bytes: UTF-8 bytes of their text.
    """

    documents: int = 0
    text_bytes: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.documents + other.documents, self.text_bytes + other.text_bytes)

    def __sub__(self, other: Extent) -> Extent:
        return Extent(self.documents - other.documents, self.text_bytes - other.text_bytes)


@dataclass(frozen=True)
class Shard:
    """One Parquet file of a corpus.

    Attributes:
        name: file name in the corpus directory.
        documents: rows.
        text_bytes: UTF-8 bytes of text.
        file_bytes: size of the file.
        sha256: checksum of the file.
        sources: what it holds of each source.
        location: directory of the corpus it lies in; empty for the corpus that lists it.
    """

    name: str
    documents: int
    text_bytes: int
    file_bytes: int
    sha256: str
    sources: Mapping[str, Extent] = field(default_factory=dict)
    location: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain = asdict(self)
        del plain["location"]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Shard:
        """The inverse of :meth:`to_dict`."""
        sources = {name: Extent(**extent) for name, extent in plain["sources"].items()}
        return cls(**{**plain, "sources": sources})


@dataclass(frozen=True)
class Corpus:
    """Documents in a directory or at an fsspec URL, opened lazily.

    Use :meth:`open`, or :func:`~leadsman.corpus.write_corpus` to make one.

    Attributes:
        location: path or URL.
        schema: Arrow type of each column, by name, as text; ``id``, ``text``, ``source``, then the
            others by name.
        shards: its files, in order.
        job: fingerprint of the work that made it; empty if it was simply written.
    """

    location: str
    schema: Mapping[str, str]
    shards: tuple[Shard, ...]
    job: str = ""

    def __post_init__(self) -> None:
        # What is written from a corpus must not depend on whether it was opened or just made.
        first = [name for name in CORE_COLUMNS if name in self.schema]
        names = [*first, *sorted(set(self.schema) - set(first))]
        object.__setattr__(self, "schema", {name: self.schema[name] for name in names})

    @classmethod
    def open(cls, path: str | Path) -> Corpus:
        """Open a corpus; only the manifest is read.

        Raises:
            InputError: there is no corpus there, or its manifest cannot be read.
        """
        location = str(path)
        directory = Directory(location)
        if not directory.exists(MANIFEST):
            raise InputError(
                "is not a corpus (no manifest.json); make one with 'leadsman corpus convert'",
                file=location,
            )
        try:
            plain = json.loads(directory.read(MANIFEST))
            if plain["format"] != FORMAT:
                raise ValueError(f"format is {plain['format']!r}, expected {FORMAT!r}")
            shards = tuple(Shard.from_dict(shard) for shard in plain["shards"])
            return cls(location, plain["schema"], shards, plain["job"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"not the manifest of a corpus ({error}); write the corpus again",
                file=f"{location}/{MANIFEST}",
            ) from error

    @classmethod
    def join(cls, corpora: Corpus | Sequence[Corpus]) -> Corpus:
        """Several corpora read as one, in the order given; nothing is copied.

        It has the columns that all of them have with the same type.

        Raises:
            InputError: there is none to join.
        """
        if isinstance(corpora, Corpus):
            return corpora
        if not corpora:
            raise InputError("no corpus was given; name at least one")
        schema = dict(corpora[0].schema)
        for other in corpora[1:]:
            schema = {name: kind for name, kind in schema.items() if other.schema.get(name) == kind}
        shards = tuple(
            replace(shard, location=shard.location or corpus.location)
            for corpus in corpora
            for shard in corpus.shards
        )
        return cls(" + ".join(corpus.location for corpus in corpora), schema, shards)

    def directory(self, shard: Shard | None = None) -> Directory:
        """Where the files are (of a shard, if the corpus is joined of several)."""
        return Directory((shard.location if shard is not None else "") or self.location)

    @property
    def documents(self) -> int:
        """Number of documents."""
        return sum(shard.documents for shard in self.shards)

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of text."""
        return sum(shard.text_bytes for shard in self.shards)

    @cached_property
    def sources(self) -> dict[str, Extent]:
        """What there is of each source, by name."""
        total: dict[str, Extent] = {}
        for shard in self.shards:
            for name, extent in shard.sources.items():
                total[name] = total.get(name, Extent()) + extent
        return dict(sorted(total.items()))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the contents (16 hex digits): the same shards give the same one anywhere."""
        digest = hashlib.sha256()
        for shard in self.shards:
            digest.update(f"{shard.name} {shard.sha256}\n".encode())
        return digest.hexdigest()[:16]

    def batches(
        self, columns: Sequence[str] | None = None, batch_size: int = 1024
    ) -> Iterator[pa.RecordBatch]:
        """Stream the documents in order; memory is bounded by the batch and a row group.

        Args:
            columns: names of the columns wanted; all by default.
            batch_size: most documents in a batch.

        Raises:
            InputError: a column is not there, or a shard is missing or damaged.
        """
        for shard in self.shards:
            yield from self.shard_batches(shard, columns, batch_size)

    def shard_batches(
        self, shard: Shard, columns: Sequence[str] | None = None, batch_size: int = 1024
    ) -> Iterator[pa.RecordBatch]:
        """As :meth:`batches`, of one shard."""
        for _, batch in self._shard_groups(shard, columns, batch_size):
            yield batch

    def _shard_groups(
        self,
        shard: Shard,
        columns: Sequence[str] | None = None,
        batch_size: int = 1024,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches with the number of their first row; row groups without ``rows`` are not read."""
        missing = [name for name in columns or () if name not in self.schema]
        if missing:
            raise InputError(
                f"there is no column {missing[0]!r}; the columns are {', '.join(self.schema)}",
                file=self.location,
                column=missing[0],
            )
        place = f"{shard.location or self.location}/{shard.name}"
        try:
            with self.directory(shard).open(shard.name) as file:
                wanted = list(self.schema if columns is None else columns)
                reader = pq.ParquetFile(file)
                # Group by group: a batch across groups could hold many times a group's text.
                row = 0
                for group in range(reader.num_row_groups):
                    end = row + reader.metadata.row_group(group).num_rows
                    if rows is not None and not np.diff(np.searchsorted(rows, [row, end]))[0]:
                        row = end
                        continue
                    for batch in reader.iter_batches(
                        batch_size, row_groups=[group], columns=wanted
                    ):
                        yield row, batch
                        row += batch.num_rows
            # What shards took must not add up over the threads that read them. Not after every
            # group: a page given back is a page to be fetched and cleared again.
            release()
        except FileNotFoundError as error:
            raise InputError("is in the manifest but not there", file=place) from error
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"cannot be read ({_first_line(error)}); restore it or write the corpus again",
                file=place,
            ) from error

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Everything in memory; for targets and other small corpora."""
        batches = list(self.batches(columns))
        names = list(self.schema) if columns is None else list(columns)
        return pa.Table.from_batches(batches) if batches else pa.table({name: [] for name in names})

    def take(
        self, indices: Sequence[int] | npt.NDArray[np.integer[Any]], columns: Sequence[str]
    ) -> dict[int, dict[str, Any]]:
        """Single documents by their number in the corpus; only shards that hold one are read.

        Args:
            indices: numbers of documents, 0-based, in any order.
            columns: what to return of each.
        """
        wanted = np.unique(np.asarray(indices, np.int64))
        found: dict[int, dict[str, Any]] = {}
        first = 0
        for shard in self.shards:
            start, first = first, first + shard.documents
            low, high = np.searchsorted(wanted, [start, first])
            if low == high:
                continue
            here = wanted[low:high] - start
            for row, batch in self._shard_groups(shard, columns, rows=here):
                low, high = np.searchsorted(here, [row, row + batch.num_rows])
                rows = batch.take(pa.array(here[low:high] - row)).to_pylist()
                found |= dict(zip((here[low:high] + start).tolist(), rows))
        return found

    def verify(self) -> list[str]:
        """Check every shard against the manifest; one sentence for each that is wrong."""
        problems = []
        for shard in self.shards:
            directory = self.directory(shard)
            if not directory.exists(shard.name):
                problems.append(f"{shard.name}: missing")
                continue
            digest = hashlib.sha256()
            with directory.open(shard.name) as file:
                while chunk := file.read(1 << 22):
                    digest.update(chunk)
            if digest.hexdigest() != shard.sha256:
                problems.append(f"{shard.name}: checksum differs; it was changed or damaged")
        return problems


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
