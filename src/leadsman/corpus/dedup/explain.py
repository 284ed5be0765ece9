"""Why a document is not in a corpus that deduplication or decontamination made."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pyarrow.compute as pc

from leadsman.corpus.corpus import Corpus
from leadsman.errors import InputError


def position(corpus: Corpus, document: str) -> int | None:
    """Number of the first document with this id in the corpus, ``None`` if it has none."""
    start = 0
    for batch in corpus.batches(["id"]):
        place = pc.index(batch.column("id"), document).as_py()
        if place >= 0:
            return start + int(place)
        start += batch.num_rows
    return None


def explain_removal(corpus: Corpus, document: str) -> dict[str, Any]:
    """What happened to a document in the job that made ``corpus``.

    Returns:
        ``{"id": ..., "kept": True}``, with ``removed_spans`` if paragraphs were cut out of it, or
        its reject record with ``kept`` false.

    Raises:
        InputError: the job never saw a document with this id.
    """
    for path in corpus.directory().glob("rejects/removed-*.parquet"):
        name = path.rpartition("/")[2]
        frame = pl.read_parquet(io.BytesIO(corpus.directory().read(f"rejects/{name}")))
        found = frame.filter(pl.col("id") == document)
        if len(found):
            return {"kept": False, **found.row(0, named=True)}
    if position(corpus, document) is not None:
        spans = _removed_spans(corpus, document)
        return {"id": document, "kept": True, **({"removed_spans": spans} if spans else {})}
    raise InputError(
        f"no document of this job has the id {json.dumps(document)}; "
        f"'leadsman corpus sample' shows what ids look like",
        file=corpus.location,
    )


def _removed_spans(corpus: Corpus, document: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = []
    for path in corpus.directory().glob("rejects/spans-*.parquet"):
        name = path.rpartition("/")[2]
        frame = corpus.directory().read_frame(f"rejects/{name}")
        spans += frame.filter(pl.col("id") == document).drop("id", "source").to_dicts()
    return spans
