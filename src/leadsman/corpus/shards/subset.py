"""Writes the documents that were kept as a new corpus, shard by shard, restartable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus.corpus import Corpus, Shard
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.writer import SHARD_BYTES, ShardWriter, write_manifest
from leadsman.engine import Engine
from leadsman.errors import InputError

Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Group:
    """Input shards whose kept documents make one output shard."""

    index: int
    parts: tuple[tuple[Shard, Kept], ...]


def write_subset(
    corpus: Corpus,
    kept: Kept,
    text_bytes: npt.NDArray[np.int64],
    job: Job,
    *,
    engine: Engine,
    shard_bytes: int = SHARD_BYTES,
) -> Corpus:
    """Write the kept documents, in order; :func:`publish` then makes them a corpus.

    An output shard holds the kept documents of whole input shards, as many as fit.

    Args:
        corpus: where the documents are.
        kept: whether each is kept, shape (documents,).
        text_bytes: size of each, shape (documents,).
        job: whose result this is; finished shards of it are not written again.
        engine: where the work is done.
        shard_bytes: text in an output shard.

    Raises:
        InputError: no document is kept, or the disk is full.
    """
    if not kept.any():
        raise InputError("no document is left; loosen the settings", file=corpus.location)
    groups = list(_groups(corpus, kept, text_bytes, shard_bytes))
    todo = [group for group in groups if not job.has(_marker(group.index))]
    for _ in engine.map(partial(_write_group, corpus=corpus, job=job), todo):
        pass
    shards = []
    for group in groups:
        shards.append(Shard.from_dict(json.loads(job.work.read(_marker(group.index)))))
    return Corpus(job.directory.location, corpus.schema, tuple(shards), job.fingerprint)


def publish(corpus: Corpus, job: Job) -> Corpus:
    """Write the manifest, the last file of a job, and remove its intermediate results."""
    write_manifest(job.directory, corpus.shards, schema=corpus.schema, job=job.fingerprint)
    job.close()
    return corpus


def split(corpus: Corpus, values: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.generic]]:
    """Cut an array of one value a document into one array a shard."""
    start = 0
    for shard in corpus.shards:
        yield values[start : start + shard.documents]
        start += shard.documents


def _groups(
    corpus: Corpus, kept: Kept, text_bytes: npt.NDArray[np.int64], shard_bytes: int
) -> Iterator[_Group]:
    index, size = 0, 0
    parts: list[tuple[Shard, Kept]] = []
    for shard, mask, lengths in zip(
        corpus.shards, split(corpus, kept), split(corpus, text_bytes), strict=True
    ):
        wanted = int(lengths[mask].sum())
        if parts and size + wanted > shard_bytes:
            yield _Group(index, tuple(parts))
            index, parts, size = index + 1, [], 0
        if mask.any():
            parts.append((shard, mask.astype(np.bool_)))
            size += wanted
    if parts:
        yield _Group(index, tuple(parts))


def _marker(index: int) -> str:
    return f"shards/{index:05d}.json"


def _write_group(group: _Group, *, corpus: Corpus, job: Job) -> None:
    names = list(corpus.schema)
    # One output shard a group, whatever its size: the name must not depend on the engine.
    writer = ShardWriter(job.directory, shard_bytes=1 << 62, first=group.index)
    for shard, mask in group.parts:
        start = 0
        for batch in corpus.shard_batches(shard, names):
            wanted = mask[start : start + batch.num_rows]
            start += batch.num_rows
            if wanted.any():
                writer.add(batch.filter(pa.array(wanted)))
    (written,) = writer.finish()
    job.work.write_json(_marker(group.index), written.to_dict())
