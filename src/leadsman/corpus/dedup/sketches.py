"""What near-duplicate search keeps of each shard: sizes, hashes of the text, signatures, and
the hashes of their bands.

A shard that is read for the first time can be sketched while it is written, so that its text is in
hand once:

    CORPUS/.sketches/KEY/SHA256-OF-SHARD.NAME.npy

KEY stands for the settings, and the checksum for the documents, so a sketch that is there is right.
Shards without one are sketched by the job, in its own notes. ``bytes`` is written last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman._version import __version__
from leadsman.corpus.corpus import Corpus, Shard
from leadsman.corpus.dedup.key_ranges import sorted_keys
from leadsman.corpus.dedup.settings import DedupSettings
from leadsman.corpus.kernels import minhash
from leadsman.corpus.kernels.text import normalised_hashes, texts
from leadsman.corpus.shards.arrays import load_array, save_array
from leadsman.corpus.shards.job import Job
from leadsman.engine import usable_cores
from leadsman.files import Directory

SKETCHES = ".sketches"
AHEAD = 8
"""Batches in hand for each thread."""
_NOTHING = pa.RecordBatch.from_pydict({"text": [""]})

Sketch = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.uint32]]


class Sketches:
    """The sketches of a corpus, each where it was made.

    Args:
        corpus: the documents.
        job: whose notes hold the others.
        settings: of the search.
    """

    def __init__(self, corpus: Corpus, job: Job, settings: DedupSettings) -> None:
        self._corpus, self._job, self._settings = corpus, job, settings

    @cached_property
    def _places(self) -> list[tuple[Directory, str]]:
        found = []
        for part, shard in enumerate(self._corpus.shards):
            directory, name = self._corpus.directory(shard), _beside(shard, self._settings)
            made = directory.exists(f"{name}.bytes.npy")
            found.append((directory, name) if made else (self._job.work, _noted(part)))
        return found

    def missing(self) -> list[int]:
        """Numbers of the shards that have none yet."""
        return [
            part
            for part, (directory, name) in enumerate(self._places)
            if not directory.exists(f"{name}.bytes.npy")
        ]

    def load(self, part: int, name: str) -> npt.NDArray[Any]:
        """One array of one shard."""
        directory, stem = self._places[part]
        return load_array(directory, f"{stem}.{name}.npy")

    def stored(self, name: str) -> list[npt.NDArray[Any]]:
        """The same array of every shard."""
        return [self.load(part, name) for part in range(len(self._places))]


class SketchWriter:
    """Sketches shards while they are written, in threads of its own.

    Args:
        directory: of the corpus.
        settings: of the search to come.
    """

    def __init__(self, directory: Directory, settings: DedupSettings) -> None:
        self._directory, self._settings = directory, settings
        workers = usable_cores()
        self._pool = ThreadPoolExecutor(workers, "leadsman-sketch")
        self._most = AHEAD * workers
        # Tables are made and kernels loaded once, while the first documents are read.
        self._ready = self._pool.submit(sketch_batch, _NOTHING, settings)
        self._open: list[Future[Sketch]] = []
        self._saving: list[Future[None]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Sketch some documents of the shard that is being written."""
        self._open.append(self._pool.submit(self._sketch, batch))
        if len(self._open) > self._most:
            self._open[-self._most - 1].result()

    def close(self, shard: Shard) -> None:
        """The shard has these documents."""
        name = _beside(shard, self._settings)
        # Threads take work in order, so what this waits for is done or being done.
        self._saving.append(self._pool.submit(self._save, self._open, name))
        self._open = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until all is kept; after an error, until nothing is written any more."""
        try:
            for saving in self._saving if kind is None else []:
                saving.result()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _sketch(self, batch: pa.RecordBatch) -> Sketch:
        self._ready.result()
        return sketch_batch(batch, self._settings)

    def _save(self, sketches: Sequence[Future[Sketch]], name: str) -> None:
        save_sketch(self._directory, name, [one.result() for one in sketches], self._settings)


def sketch_shard(index: int, *, corpus: Corpus, job: Job, settings: DedupSettings) -> None:
    """Sketch one shard in the notes of a job."""
    batches = corpus.shard_batches(corpus.shards[index], ["text"])
    save_sketch(
        job.work, _noted(index), [sketch_batch(batch, settings) for batch in batches], settings
    )


def sketch_batch(batch: pa.RecordBatch, settings: DedupSettings) -> Sketch:
    """Of some documents: sizes, hashes of the normalised text, and signatures (or none)."""
    column = texts(batch)
    if settings.method == "exact":
        return column.lengths, normalised_hashes(column), np.empty((0, 0), np.uint32)
    a, b = minhash.permutations(settings.bands * settings.rows, seed=settings.seed)
    signed, exact = minhash.sketch(column, n=settings.n, a=a, b=b)
    return column.lengths, exact, signed


def save_sketch(
    directory: Directory, name: str, sketches: Sequence[Sketch], settings: DedupSettings
) -> None:
    """Keep the sketch of a shard: its batches, and the order of its hashes."""
    sizes, exact, signed = zip(*sketches)
    keys, rows = sorted_keys(np.concatenate(exact))
    save_array(directory, f"{name}.exact.npy", keys)
    save_array(directory, f"{name}.order.npy", rows)
    if settings.method == "minhash":
        save_array(directory, f"{name}.signatures.npy", *signed)
        _save_bands(directory, name, np.concatenate(signed), settings)
    save_array(directory, f"{name}.bytes.npy", *sizes)


def _save_bands(
    directory: Directory, name: str, signed: npt.NDArray[np.uint32], settings: DedupSettings
) -> None:
    """Keep the hashes of each band in order, and their rows."""
    keys = np.empty((settings.bands, len(signed)), np.uint64)
    rows = np.empty((settings.bands, len(signed)), np.uint32)
    for band in range(settings.bands):
        minhash.band_hashes(signed, band, settings.rows, keys[band])
        keys[band], rows[band] = sorted_keys(keys[band])
    save_array(directory, f"{name}.bands.npy", keys)
    save_array(directory, f"{name}.rows.npy", rows)


def _beside(shard: Shard, settings: DedupSettings) -> str:
    return f"{SKETCHES}/{_key(settings)}/{shard.sha256}"


def _noted(part: int) -> str:
    return f"sketch/{part:05d}"


def _key(settings: DedupSettings) -> str:
    """Hash of what a sketch depends on."""
    of = (settings.method, settings.n, settings.bands, settings.rows, settings.seed, __version__)
    return hashlib.sha256(repr(of).encode()).hexdigest()[:16]
