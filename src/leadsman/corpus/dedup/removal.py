"""What deduplication and decontamination share: removed documents, explained and counted.

OUT/rejects/removed-00000.parquet   one file an input shard: id, source, reason, text_bytes,
                                    kept_id (what it is a copy of), and the method's details
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from leadsman.corpus.corpus import Corpus, Extent, Shard
from leadsman.corpus.dedup.source_loss import check_sources
from leadsman.corpus.readers.rejects import EXCERPT
from leadsman.corpus.shards.job import Job
from leadsman.engine import ThreadEngine

EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class RemovalReport:
    """What was removed.

    Attributes:
        location: what stays, a corpus (:attr:`corpus`).
        offered: documents and bytes before, by source.
        kept: documents and bytes after, by source.
        removed: documents and bytes that went, by reason.
        warnings: sentences for a person, e.g. of a source that lost much.
        examples: the removals most open to doubt, with excerpts of both documents.
    """

    location: str
    offered: Mapping[str, Extent]
    kept: Mapping[str, Extent]
    removed: Mapping[str, Extent]
    warnings: Sequence[str]
    examples: Sequence[Mapping[str, Any]]

    @property
    def corpus(self) -> Corpus:
        """The documents that stay."""
        return Corpus.open(self.location)

    @property
    def documents_removed(self) -> int:
        """How many documents went."""
        return sum(extent.documents for extent in self.removed.values())

    @property
    def bytes_removed(self) -> int:
        """How many bytes of text went."""
        return sum(extent.text_bytes for extent in self.removed.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        extents = {
            name: {key: Extent(**extent) for key, extent in plain[name].items()}
            for name in ("offered", "kept", "removed")
        }
        return cls(**{**plain, **extents})


@dataclass(frozen=True)
class Removal:
    """Which documents go, and why; all arrays have one entry a document.

    Attributes:
        corpus: the documents.
        removed: whether each goes.
        text_bytes: size of each.
        reasons: why (where it goes).
        kept_of: number of the document it is a copy of, -1 if there is none.
        details: further columns of the reject record.
    """

    corpus: Corpus
    removed: npt.NDArray[np.bool_]
    text_bytes: npt.NDArray[np.int64]
    reasons: npt.NDArray[Any]
    kept_of: npt.NDArray[np.int64]
    details: Mapping[str, npt.NDArray[Any]]

    def check(self, max_source_loss: float, stop_source_loss: float | None) -> list[str]:
        """Warnings of :func:`~leadsman.corpus.dedup.source_loss.check_sources`.

        Raises:
            InputError: a source loses ``stop_source_loss`` or more.
        """
        gone: dict[str, Extent] = dict.fromkeys(self.corpus.sources, Extent())
        firsts = np.cumsum([0, *(shard.documents for shard in self.corpus.shards)])
        count = partial(_lost, removal=self, firsts=firsts)
        for _, lost in ThreadEngine().map(count, range(len(self.corpus.shards))):
            for name, extent in lost.items():
                gone[name] += extent
        return check_sources(
            self.corpus.sources, gone, warn=max_source_loss, stop=stop_source_loss,
            location=self.corpus.location,
        )  # fmt: skip

    def write_rejects(self, job: Job) -> None:
        """Write the reject records that are not there yet."""
        referred = self.kept_of[self.removed & (self.kept_of >= 0)]
        ids = {i: row["id"] for i, row in self.corpus.take(referred, ["id"]).items()}
        firsts = np.cumsum([0, *(shard.documents for shard in self.corpus.shards)])
        todo = [
            part
            for part, shard in enumerate(self.corpus.shards)
            if self.removed[firsts[part] : firsts[part] + shard.documents].any()
            and not job.directory.exists(_file(part))
        ]
        write = partial(_write_rejects, removal=self, firsts=firsts, kept_ids=ids, job=job)
        for _ in ThreadEngine().map(write, todo):
            pass

    def summary(
        self, corpus: Corpus, warnings: list[str], *, examples_by: npt.NDArray[Any]
    ) -> dict[str, Any]:
        """Fields of a :class:`RemovalReport`; examples are those lowest in ``examples_by``."""
        numbers = np.flatnonzero(self.removed)
        reasons = {}
        for reason in np.unique(self.reasons[numbers]).tolist():
            sizes = self.text_bytes[self.removed & (self.reasons == reason)]
            reasons[str(reason)] = Extent(len(sizes), int(sizes.sum()))
        doubtful = numbers[np.argsort(examples_by[numbers], kind="stable")][:EXAMPLES]
        kept = self.kept_of[doubtful]
        rows = self.corpus.take(
            np.concatenate([doubtful, kept[kept >= 0]]), ["id", "source", "text"]
        )
        examples = []
        for number, other in zip(doubtful.tolist(), kept.tolist()):
            example = {
                "id": rows[number]["id"],
                "source": rows[number]["source"],
                "reason": str(self.reasons[number]),
                "excerpt": rows[number]["text"][:EXCERPT],
            }
            if other >= 0:
                example["kept_id"] = rows[other]["id"]
                example["kept_excerpt"] = rows[other]["text"][:EXCERPT]
            example |= {name: values[[number]].tolist()[0] for name, values in self.details.items()}
            examples.append(example)
        return {
            "location": corpus.location,
            "offered": self.corpus.sources,
            "kept": corpus.sources,
            "removed": reasons,
            "warnings": warnings,
            "examples": examples,
        }


def _file(part: int) -> str:
    return f"rejects/removed-{part:05d}.parquet"


def _lost(part: int, *, removal: Removal, firsts: npt.NDArray[Any]) -> dict[str, Extent]:
    start = int(firsts[part])
    shard = removal.corpus.shards[part]
    lost: dict[str, Extent] = {}
    if not removal.removed[start : start + shard.documents].any():
        return lost
    for name, size in zip(*_removed_sources(removal, shard, start)):
        lost[name] = lost.get(name, Extent()) + Extent(1, size)
    return lost


def _removed_sources(removal: Removal, shard: Shard, start: int) -> tuple[list[str], list[int]]:
    names = pa.chunked_array(
        batch.column("source") for batch in removal.corpus.shard_batches(shard, ["source"])
    )
    here = removal.removed[start : start + shard.documents]
    sizes = removal.text_bytes[start : start + shard.documents][here]
    return names.filter(pa.array(here)).to_pylist(), sizes.tolist()


def _write_rejects(
    part: int,
    *,
    removal: Removal,
    firsts: npt.NDArray[Any],
    kept_ids: Mapping[int, str],
    job: Job,
) -> None:
    shard = removal.corpus.shards[part]
    numbers = np.flatnonzero(removal.removed[firsts[part] : firsts[part] + shard.documents])
    table = pa.Table.from_batches(removal.corpus.shard_batches(shard, ["id", "source"]))
    at = numbers + firsts[part]
    frame = pl.DataFrame(
        {
            "id": table["id"].take(pa.array(numbers)).to_pylist(),
            "source": table["source"].take(pa.array(numbers)).to_pylist(),
            "reason": pl.Series(removal.reasons[at].tolist(), dtype=pl.String),
            "text_bytes": removal.text_bytes[at],
            "kept_id": pl.Series(
                [kept_ids.get(i) for i in removal.kept_of[at].tolist()], dtype=pl.String
            ),
            **{name: _series(values[at]) for name, values in removal.details.items()},
        }
    )
    job.directory.write_frame(_file(part), frame)


def _series(values: npt.NDArray[Any]) -> pl.Series:
    return (
        pl.Series(values.tolist(), dtype=pl.String) if values.dtype == object else pl.Series(values)
    )
