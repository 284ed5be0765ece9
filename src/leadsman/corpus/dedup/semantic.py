"""D4: drops documents that say the same in other words, and the most ordinary ones.

Tirumala et al., "D4: Improving LLM Pretraining via Document De-Duplication and Diversification"
(2023, catalogue 326), after MinHash:

1. Embed every document (:mod:`leadsman.corpus.vectors.embedding`), shard by shard.
2. SemDeDup: cluster the vectors (spherical k-means on a sample); within a cluster, in order, a
   document goes if its cosine to one that stays is at least ``threshold``. The cosine is that of
   the embedding before any projection (all of TF-IDF): projected, two pages filled in from one
   template look the same. Every removal has its neighbour and their cosine in ``rejects/``.
3. Prototypes: cluster what is left again; the ``prototypes`` share of the documents nearest to
   their centre goes, because there are many like them.

Of two like documents the first stays (the paper keeps the one farther from the centre), so that
the order of sources decides as everywhere in Leadsman. Memory: 40 bytes a document, and the
vectors of one cluster; all vectors lie in files that are mapped (about 2 kB a document).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.dedup.removal import Removal, RemovalReport
from leadsman.corpus.kernels.text import texts
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.corpus.shards.writer import SHARD_BYTES
from leadsman.corpus.vectors.embedding import Embedding, HashedSVD
from leadsman.corpus.vectors.neighbours import keep_first, nearest, spherical_clusters
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]
COPY, PROTOTYPE = "says the same", "most ordinary"
MEMORY_PER_DOCUMENT = 40
_SAMPLE = 20_000
"""Vectors to find clusters on."""
_CSR = ("data", "indices", "indptr")
_MAX_CLUSTER = 2000
"""Documents in a cluster on average, beyond which there are more clusters."""


@dataclass(frozen=True, kw_only=True)
class SemanticReport(RemovalReport):
    """What was removed because of its meaning.

    Attributes:
        threshold: least cosine to the document kept.
        lowest_cosine: of all removals as copies; each was computed. 1 if there is none.
        clusters: in which documents were compared.
        embedding: how documents became vectors.
    """

    threshold: float
    lowest_cosine: float
    clusters: int
    embedding: dict[str, object]


def deduplicate_semantic(
    corpora: Corpus | Sequence[Corpus],
    out: str | Path,
    *,
    threshold: float = 0.9,
    prototypes: float = 0.0,
    clusters: int | None = None,
    embedding: Embedding | None = None,
    max_source_loss: float = 0.5,
    stop_source_loss: float | None = None,
    seed: int = 0,
    engine: Engine | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> SemanticReport:
    """Write the documents of ``corpora`` that say something of their own.

    Args:
        corpora: one corpus or several, the most wanted first.
        out: directory or URL of the result.
        threshold: least cosine of two documents that say the same, in (0, 1].
        prototypes: share of the remaining documents to drop as most ordinary, in [0, 1).
        clusters: by default the root of the number of documents.
        embedding: places documents; hashed TF-IDF with SVD by default.
        max_source_loss, stop_source_loss: share of a source's bytes beyond which its loss gives a
            warning, and from which on the job stops (1: where nothing stays); by default never.
        seed: of samples and clusters.
        engine: where documents are embedded and written.
        shard_bytes: text in an output shard.

    Raises:
        InputError: a source loses all its documents, ``out`` holds other work, or a setting
            cannot be.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"must be in (0, 1], not {threshold}", column="threshold")
    if not 0 <= prototypes < 1:
        raise InputError(f"must be in [0, 1), not {prototypes}", column="prototypes")
    if clusters is not None and clusters < 1:
        raise InputError(f"must be at least 1, not {clusters}", column="clusters")
    embedding, engine = embedding or HashedSVD(), engine or ThreadEngine()
    joined = Corpus.join(corpora)
    settings = {
        "threshold": threshold, "prototypes": prototypes, "clusters": clusters, "seed": seed,
        "embedding": embedding.describe(), "shard_bytes": shard_bytes,
    }  # fmt: skip
    job = Job(out, "semantic", settings, [joined])
    if job.finished:
        return SemanticReport.from_dict(json.loads(job.directory.read("report.json")))
    vectors = _embed(joined, job, embedding, seed, engine)
    wanted = clusters or _clusters(joined.documents)
    everything = np.ones(joined.documents, np.bool_)
    place, _ = vectors.cluster(everything, wanted, seed)
    kept_of, similarity = _copies(vectors, place, threshold)
    ordinary, nearness = _prototypes(vectors, kept_of < 0, prototypes, wanted, seed)
    text_bytes = job.gather("sizes", "bytes", len(joined.shards))
    removal = Removal(
        corpus=joined,
        removed=(kept_of >= 0) | ordinary,
        text_bytes=text_bytes,
        reasons=np.where(ordinary, PROTOTYPE, COPY),
        kept_of=kept_of,
        details={"cosine": np.where(ordinary, nearness, similarity)},
    )
    warnings = removal.check(max_source_loss, stop_source_loss)
    removal.write_rejects(job)
    kept = ~removal.removed
    corpus = write_subset(joined, kept, text_bytes, job, engine=engine, shard_bytes=shard_bytes)
    gone = similarity[kept_of >= 0]
    # Prototypes are open to no doubt of this kind: they come last among the examples.
    report = SemanticReport(
        **removal.summary(corpus, warnings, examples_by=np.where(ordinary, 2, similarity)),
        threshold=threshold,
        lowest_cosine=float(gone.min()) if len(gone) else 1.0,
        clusters=wanted,
        embedding=embedding.describe(),
    )
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report


class _Vectors:
    """The vectors of all documents, in one mapped file a shard."""

    def __init__(self, corpus: Corpus, job: Job) -> None:
        parts = range(len(corpus.shards))
        width = int(job.load("vectors/00000.width.npy")[0])
        self._parts = [job.load(f"vectors/{part:05d}.rows.npy") for part in parts]
        self._details = [
            sparse.csr_array(
                tuple(job.load(f"vectors/{part:05d}.{name}.npy") for name in _CSR),
                shape=(shard.documents, width),
            )
            for part, shard in enumerate(corpus.shards)
        ]
        self._firsts = np.cumsum([0, *(shard.documents for shard in corpus.shards)])
        self.width = width

    def details(self, numbers: Ints) -> sparse.csr_array:
        """Sparse rows of documents given in ascending order, as they are compared."""
        cuts = np.searchsorted(numbers, self._firsts)
        pieces = [
            part[numbers[low:high] - first]
            for part, first, (low, high) in zip(self._details, self._firsts, pairwise(cuts))
            if high > low
        ]
        return sparse.vstack(pieces, format="csr")

    def of(self, numbers: Ints) -> Vectors:
        """Vectors of documents given in ascending order."""
        cuts = np.searchsorted(numbers, self._firsts)
        pieces = [
            part[numbers[low:high] - first]
            for part, first, (low, high) in zip(self._parts, self._firsts, pairwise(cuts))
        ]
        return np.concatenate(pieces)

    def cluster(self, wanted: Mask, clusters: int, seed: int) -> tuple[Ints, Vectors]:
        """Cluster of each wanted document (-1 for others), and the cosine to its centre."""
        numbers = np.flatnonzero(wanted)
        generator = np.random.default_rng([seed, 1])
        count = min(_SAMPLE, len(numbers))
        sample = np.sort(generator.choice(numbers, count, replace=False))
        centres = spherical_clusters(self.of(sample), clusters, seed=seed)
        place = np.full(len(wanted), -1, np.int64)
        similarity = np.zeros(len(wanted), np.float32)
        for low, high in pairwise(self._firsts.tolist()):
            mine = np.flatnonzero(wanted[low:high]) + low
            found, cosines = np.empty(len(mine), np.int64), np.empty(len(mine), np.float32)
            nearest(self.of(mine), centres, found, cosines)
            place[mine], similarity[mine] = found, cosines
        return place, similarity


def _embed(corpus: Corpus, job: Job, embedding: Embedding, seed: int, engine: Engine) -> _Vectors:
    parts = range(len(corpus.shards))
    todo = [part for part in parts if not job.has(f"sizes/{part:05d}.bytes.npy")]
    if todo:
        embedding.fit(corpus, seed=seed)
    function = partial(_embed_shard, corpus=corpus, job=job, embedding=embedding)
    for _ in engine.map(function, todo):
        pass
    return _Vectors(corpus, job)


def _embed_shard(part: int, *, corpus: Corpus, job: Job, embedding: Embedding) -> None:
    rows, sizes, details = [], [], []
    for batch in corpus.shard_batches(corpus.shards[part], ["text"]):
        rows.append(embedding.embed(batch))
        details.append(embedding.details(batch))
        sizes.append(texts(batch).lengths)
    job.save(f"vectors/{part:05d}.rows.npy", np.concatenate(rows))
    whole = sparse.vstack(details, format="csr")
    for name in _CSR:
        job.save(f"vectors/{part:05d}.{name}.npy", getattr(whole, name))
    job.save(f"vectors/{part:05d}.width.npy", np.array([whole.shape[1]]))
    job.save(f"sizes/{part:05d}.bytes.npy", np.concatenate(sizes))


def _clusters(documents: int) -> int:
    return max(math.isqrt(documents), -(-documents // _MAX_CLUSTER), 1)


def _copies(vectors: _Vectors, place: Ints, threshold: float) -> tuple[Ints, Vectors]:
    """The kept document each is a copy of (-1: it stays), and their cosine."""
    kept_of = np.full(len(place), -1, np.int64)
    similarity = np.zeros(len(place), np.float32)
    order = np.argsort(place, kind="stable")
    limits = np.flatnonzero(np.diff(place[order], prepend=-2, append=-2))
    for low, high in pairwise(limits.tolist()):
        members = order[low:high]
        if len(members) < 2:
            continue
        rows = vectors.details(members)
        worded = np.diff(rows.indptr) > 0  # a text without a word says nothing, so not the same
        rows, members = rows[worded], members[worded]
        keep_first(
            rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data, vectors.width,
            members, threshold, kept_of, similarity,
        )  # fmt: skip
    return kept_of, similarity


def _prototypes(
    vectors: _Vectors, left: Mask, share: float, clusters: int, seed: int
) -> tuple[Mask, Vectors]:
    """The documents nearest to their centres, and how near all are."""
    ordinary = np.zeros(len(left), np.bool_)
    if share == 0:
        return ordinary, np.zeros(len(left), np.float32)
    _, nearness = vectors.cluster(left, clusters, seed + 1)
    numbers = np.flatnonzero(left)
    order = numbers[np.argsort(-nearness[numbers], kind="stable")]
    ordinary[order[: round(share * len(numbers))]] = True
    return ordinary, nearness
