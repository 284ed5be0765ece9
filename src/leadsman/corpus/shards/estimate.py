"""What a job will take, by doing it on a small sample of its documents first."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.shards.writer import write_corpus

Work = Callable[[Corpus, Path], object]


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a job.

    Attributes:
        documents, text_bytes: what it reads.
        sample_share: share of the bytes that was tried.
        seconds: wall-clock time on this machine, a line in the bytes.
        memory_bytes: peak memory beyond the program's own, in proportion to the documents.
    """

    documents: int
    text_bytes: int
    sample_share: float
    seconds: float
    memory_bytes: int


def sample_documents(corpus: Corpus, documents: int, *, seed: int) -> list[int]:
    """Numbers of documents drawn without replacement, in order."""
    count = min(documents, corpus.documents)
    drawn = np.random.default_rng(seed).choice(corpus.documents, count, replace=False)
    return sorted(drawn.tolist())


def estimate(
    corpus: Corpus, work: Work, *, memory_per_document: int, share: float = 0.01, seed: int = 0
) -> Estimate:
    """Do ``work`` on two samples and draw the line through what they took.

    Args:
        corpus: what the job would read.
        work: does it, given a corpus and a directory for the result.
        memory_per_document: bytes the job holds for each document, known from its design.
        share: of the documents to try; at least 400 are.
        seed: of the sample.
    """
    numbers = sample_documents(corpus, max(400, round(share * corpus.documents)), seed=seed)
    rows = corpus.take(numbers, ["id", "text", "source"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # What a job costs whatever its size must not be scaled: two sizes tell it apart.
        whole = write_corpus(place / "whole", [rows[number] for number in numbers])
        part = write_corpus(place / "part", [rows[number] for number in numbers[::4]])
        work(part, place / "warm")
        short, long = _seconds(work, part, place / "1"), _seconds(work, whole, place / "2")
    slope = max(long - short, 0.0) / max(whole.text_bytes - part.text_bytes, 1)
    return Estimate(
        documents=corpus.documents,
        text_bytes=corpus.text_bytes,
        sample_share=whole.text_bytes / max(corpus.text_bytes, 1),
        seconds=long + slope * max(corpus.text_bytes - whole.text_bytes, 0),
        memory_bytes=memory_per_document * corpus.documents,
    )


def _seconds(work: Work, corpus: Corpus, place: Path) -> float:
    begin = time.perf_counter()
    work(corpus, place)
    return time.perf_counter() - begin
