"""From what people have to a corpus, with what could not be read set aside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadsman._version import __version__
from leadsman.corpus.corpus import MANIFEST, Corpus
from leadsman.corpus.dedup.settings import DedupSettings
from leadsman.corpus.dedup.sketches import SKETCHES, SketchWriter
from leadsman.corpus.readers.options import MAX_DOCUMENT_BYTES
from leadsman.corpus.readers.rejects import (
    NothingReadableError,
    Reject,
    Rejects,
    write_rejects,
)
from leadsman.corpus.readers.sources import (
    TEXT_SUFFIXES,
    check_readable,
    files_state,
    read_source,
    source_name,
)
from leadsman.corpus.shards.open_shard import Compression
from leadsman.corpus.shards.output_directory import check_conversion, check_output
from leadsman.corpus.shards.writer import SHARD_BYTES, write_corpus
from leadsman.files import Directory


@dataclass(frozen=True)
class ConvertReport:
    """What became of the input.

    Attributes:
        corpus: the documents.
        rejected: rows and files that could not be used; each is in ``rejects/``.
        first_reject: the first of them, for a person; empty if there is none.
        skipped: what is no document and no fault (files of other kinds, pages without text),
            by reason.
        left_out: fields of the rows that the corpus has not.
    """

    corpus: Corpus
    rejected: int
    first_reject: str
    skipped: Mapping[str, int] = field(default_factory=dict)
    left_out: Sequence[str] = ()

    @classmethod
    def of(cls, corpus: Corpus) -> ConvertReport:
        """The report of the conversion that made a corpus; of any other, that all is well."""
        directory = corpus.directory()
        plain = json.loads(directory.read("report.json")) if directory.exists("report.json") else {}
        return cls(
            corpus,
            plain.get("rejected", 0),
            plain.get("first_reject", ""),
            plain.get("skipped", {}),
            plain.get("left_out", ()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "documents": self.corpus.documents,
            "text_bytes": self.corpus.text_bytes,
            "rejected": self.rejected,
            "first_reject": self.first_reject,
            "skipped": dict(self.skipped),
            "left_out": list(self.left_out),
        }


def open_or_convert(
    path: str | Path, cache: str | Path, *, sketch: DedupSettings | None = None, **options: Any
) -> Corpus:
    """A corpus as it is; anything else converted to one under ``cache``, once.

    Args:
        path: what to read, see :func:`~leadsman.corpus.read_source`.
        cache: directory or URL for converted corpora; one converted from unchanged files is
            used again.
        sketch: see :func:`convert`.
        options: of :func:`convert`; shards are ``lz4`` unless they say otherwise.

    Raises:
        InputError: see :func:`convert`.
    """
    if Directory(str(path)).exists(MANIFEST):
        return Corpus.open(path)
    options = {"compression": "lz4"} | options
    key = _key([str(path), files_state(path), options])
    place = f"{cache}/{source_name(str(path))}-{key}"
    if Directory(place).exists(MANIFEST):
        return Corpus.open(place)
    return convert(path, place, sketch=sketch, **options).corpus


def keep_rejects(
    corpora: Sequence[Corpus], out: str | Path, unreadable: Sequence[Reject] = ()
) -> int:
    """Copy the records of unusable rows of converted corpora to ``OUT/rejects``.

    Args:
        corpora: converted ones.
        out: of the job that reads them.
        unreadable: what stands for inputs that gave no corpus.

    Returns:
        How many files there are now; they begin with those of the first corpus.
    """
    directory, files = Directory(str(out)), 0
    for corpus in corpora:
        for path in sorted(corpus.directory().glob("rejects/rows-*.parquet")):
            name = path.rpartition("/")[2]
            directory.write(
                f"rejects/rows-{files:05d}.parquet", corpus.directory().read(f"rejects/{name}")
            )
            files += 1
    if unreadable:
        write_rejects(directory, files, unreadable)
        files += 1
    return files


def convert(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    source: str | None = None,
    max_reject_rate: float = 0.01,
    metadata: Sequence[str] = (),
    text_suffixes: Sequence[str] = TEXT_SUFFIXES,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
    text_field: str = "text",
    shard_bytes: int = SHARD_BYTES,
    compression: Compression = "zstd",
    sketch: DedupSettings | None = None,
) -> ConvertReport:
    """Read sources (see :func:`~leadsman.corpus.read_source`) and write them as one corpus.

    Killed and called again with unchanged files and the same options, it reads again what it had
    read, but writes only the shards that are missing.

    Args:
        paths: one or more files, directories, patterns or URLs.
        out: directory or URL of the corpus; a converted one that is there is replaced.
        source: name for all documents; by default their own, else the name of their path.
        max_reject_rate: largest share of unusable rows in each path.
        metadata: other fields to keep.
        text_suffixes: file names read as plain text.
        max_document_bytes: longer documents are unusable.
        text_field: where rows keep their text, see :func:`~leadsman.corpus.read_source`.
        shard_bytes: text in a shard.
        compression: of the shards.
        sketch: settings of a deduplication to come, whose first step is done on the way.

    Raises:
        InputError: see :func:`~leadsman.corpus.read_source`; ``out`` holds other files, or the
            input; or the disk is full.
    """
    inputs = [paths] if isinstance(paths, str | Path) else list(paths)
    directory = Directory(str(out))
    for path in inputs:
        check_readable(path, text_suffixes=text_suffixes)
    check_conversion(inputs, directory)
    check_output(directory, Directory(f"{out}/.work"))
    options: dict[str, Any] = {
        "source": source,
        "max_reject_rate": max_reject_rate,
        "metadata": tuple(metadata),
        "text_suffixes": tuple(text_suffixes),
        "max_document_bytes": max_document_bytes,
        "text_field": text_field,
    }
    progress = _progress(
        out, inputs, options | {"shard_bytes": shard_bytes, "compression": compression}
    )
    directory.remove(MANIFEST)
    directory.remove("rejects")
    rejects = Rejects(directory)

    def batches() -> Iterator[pa.RecordBatch]:
        documents, unreadable = 0, []
        for path in inputs:
            try:
                for batch in read_source(path, rejects=rejects, **options):
                    documents += batch.num_rows
                    yield batch
            except NothingReadableError as error:  # the others may hold enough
                unreadable.append(error)
        if unreadable and not documents:
            raise unreadable[0]
        rejects.check(documents, max_reject_rate)

    with nullcontext() if sketch is None else SketchWriter(directory, sketch) as watcher:
        corpus = write_corpus(
            out,
            batches(),
            shard_bytes=shard_bytes,
            compression=compression,
            progress=progress,
            watcher=watcher,
        )
    first = "" if rejects.first is None else str(rejects.first)
    skipped = dict(sorted(rejects.skipped.items()))
    report = ConvertReport(corpus, rejects.count, first, skipped, sorted(rejects.left_out))
    directory.write_json("report.json", report.to_dict())
    directory.remove(".work")
    return report


def _progress(out: str | Path, inputs: Sequence[str | Path], options: dict[str, Any]) -> Directory:
    """Where the notes of finished shards are; emptied if they are of other files or options."""
    progress = Directory(f"{out}/.work")
    state = [[str(path), files_state(path)] for path in inputs]
    key = _key([state, options])
    if not progress.exists("job.json") or json.loads(progress.read("job.json")) != key:
        for stale in (".work", SKETCHES):
            Directory(str(out)).remove(stale)
        progress.write_json("job.json", key)
    return progress


def _key(description: Any) -> str:
    text = json.dumps([description, __version__], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
