"""A shard that is being written: batches in, compressed row group by row group, one file out."""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leadsman.corpus.corpus import Extent
from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.shards.memory import release
from leadsman.engine import usable_cores

Compression = Literal["zstd", "lz4"]
"""Of shards. ``lz4`` is faster to write and read, and larger: for what is read a few times and then
deleted."""
ROW_GROUP_BYTES = 1 << 20


@cache
def _encoders() -> ThreadPoolExecutor:
    """Threads that compress row groups while the next are read."""
    return ThreadPoolExecutor(usable_cores(), "leadsman-encode")


class OpenShard:
    """A shard in memory, compressed row group by row group."""

    def __init__(self, schema: pa.Schema, compression: Compression) -> None:
        self.documents = 0
        self.text_bytes = 0
        self.sources: dict[str, Extent] = {}
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._buffer = io.BytesIO()
        self._encoding: Future[None] | None = None
        self._writer = pq.ParquetWriter(
            self._buffer,
            schema,
            compression=compression,
            compression_level=1 if compression == "zstd" else None,
            use_dictionary=["source"],
            write_statistics=False,
        )

    def add(self, batch: pa.RecordBatch, text_bytes: int) -> None:
        """Add documents with this much text."""
        self.documents += batch.num_rows
        self.text_bytes += text_bytes
        self._pending.append(batch)
        self._pending_bytes += text_bytes
        for name, extent in source_extents(batch).items():
            self.sources[name] = self.sources.get(name, Extent()) + extent
        if self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> memoryview:
        """Write what is left; the file."""
        self._flush()
        self._wait()
        self._writer.close()
        release()
        return self._buffer.getbuffer()

    def _flush(self) -> None:
        if self._pending:
            self._wait()
            table = pa.Table.from_batches(self._pending)
            self._encoding = _encoders().submit(self._writer.write_table, table)
            self._pending, self._pending_bytes = [], 0

    def _wait(self) -> None:
        if self._encoding is not None:
            self._encoding.result()
            self._encoding = None


def source_extents(batch: pa.RecordBatch) -> dict[str, Extent]:
    """Documents and text bytes of each source in a batch with ``text`` and ``source``."""
    names = batch.column("source").dictionary_encode()
    codes = names.indices.to_numpy(zero_copy_only=False)
    lengths = TextColumn.of(batch.column("text")).lengths
    documents = np.bincount(codes, minlength=len(names.dictionary))
    text_bytes = np.bincount(codes, weights=lengths, minlength=len(names.dictionary))
    return {
        name: Extent(int(count), int(size))
        for name, count, size in zip(names.dictionary.to_pylist(), documents, text_bytes)
    }
