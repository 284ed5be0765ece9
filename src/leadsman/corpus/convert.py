"""From what people have to a corpus, with what could not be read set aside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadsman.corpus.corpus import MANIFEST, Corpus
from leadsman.corpus.readers import (
    MAX_DOCUMENT_BYTES,
    TEXT_SUFFIXES,
    files_state,
    read_source,
    source_name,
)
from leadsman.corpus.rejects import Rejects
from leadsman.corpus.writer import SHARD_BYTES, write_corpus
from leadsman.files import Directory


@dataclass(frozen=True)
class ConvertReport:
    """What became of the input.

    Attributes:
        corpus: the documents.
        rejected: rows and files that could not be used; each is in ``rejects/``.
        first_reject: the first of them, for a person; empty if there is none.
    """

    corpus: Corpus
    rejected: int
    first_reject: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "documents": self.corpus.documents,
            "text_bytes": self.corpus.text_bytes,
            "rejected": self.rejected,
            "first_reject": self.first_reject,
        }


def open_or_convert(path: str | Path, cache: str | Path, **options: Any) -> Corpus:
    """A corpus as it is; anything else converted to one under ``cache``, once.

    Args:
        path: what to read, see :func:`~leadsman.corpus.read_source`.
        cache: directory or URL for converted corpora; one converted from unchanged files is
            used again.
        options: of :func:`convert`.

    Raises:
        InputError: see :func:`convert`.
    """
    if Directory(str(path)).exists(MANIFEST):
        return Corpus.open(path)
    state = files_state(path)
    description = json.dumps([str(path), state, options], sort_keys=True, default=str)
    key = hashlib.sha256(description.encode()).hexdigest()[:16]
    place = f"{cache}/{source_name(str(path))}-{key}"
    if Directory(place).exists(MANIFEST):
        return Corpus.open(place)
    return convert(path, place, **options).corpus


def convert(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    source: str | None = None,
    max_reject_rate: float = 0.01,
    metadata: Sequence[str] = (),
    text_suffixes: Sequence[str] = TEXT_SUFFIXES,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
    shard_bytes: int = SHARD_BYTES,
) -> ConvertReport:
    """Read sources (see :func:`~leadsman.corpus.read_source`) and write them as one corpus.

    Args:
        paths: one or more files, directories, patterns or URLs.
        out: directory or URL of the corpus; what is there is replaced.
        source: name for all documents; by default their own, else the name of their path.
        max_reject_rate: largest share of unusable rows in each path.
        metadata: other fields to keep.
        text_suffixes: file names read as plain text.
        max_document_bytes: longer documents are unusable.
        shard_bytes: text in a shard.

    Raises:
        InputError: see :func:`~leadsman.corpus.read_source`; or the disk is full.
    """
    inputs = [paths] if isinstance(paths, str | Path) else list(paths)
    directory = Directory(str(out))
    directory.remove(MANIFEST)
    directory.remove("rejects")
    rejects = Rejects(directory)

    def batches() -> Iterator[pa.RecordBatch]:
        for path in inputs:
            yield from read_source(
                path,
                source=source,
                rejects=rejects,
                max_reject_rate=max_reject_rate,
                metadata=metadata,
                text_suffixes=text_suffixes,
                max_document_bytes=max_document_bytes,
            )

    corpus = write_corpus(out, batches(), shard_bytes=shard_bytes)
    first = "" if rejects.first is None else str(rejects.first)
    report = ConvertReport(corpus, rejects.count, first)
    directory.write_json("report.json", report.to_dict())
    return report
