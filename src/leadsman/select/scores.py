"""Scores beside the shards: one sidecar file a shard, never a rewrite of the shard.

    CORPUS/scores/KEY/shard-00000.parquet   score float32, text_bytes int64, source string,
                                            and reason string, if the selector gives reasons

KEY is a hash of the selector, its hyperparameters and what it was fitted on, so scores are
computed once for any number of policies, and a killed job continues.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from leadsman._version import __version__
from leadsman.corpus import Corpus, Shard
from leadsman.corpus.kernels.text import texts
from leadsman.engine import Engine
from leadsman.errors import InputError, MethodError
from leadsman.select.base import Selector


@dataclass(frozen=True)
class Scores:
    """What a policy needs to know of each document, in the order of the corpus.

    Attributes:
        values: float32, shape (documents,).
        text_bytes: int64, shape (documents,).
        sources: name of each document's source, shape (documents,).
        reasons: why each scores as it does; ``None`` if the selector does not say.
    """

    values: npt.NDArray[np.float32]
    text_bytes: npt.NDArray[np.int64]
    sources: pl.Series
    reasons: pl.Series | None = None


def hyperparameters(selector: Selector) -> dict[str, Any]:
    """The selector's constructor arguments, as it stored them."""
    names = inspect.signature(type(selector).__init__).parameters
    return {name: getattr(selector, name) for name in names if name != "self"}


def scores_key(selector: Selector, raw: Corpus, target: Corpus, *, seed: int) -> str:
    """Name of the sidecar directory for a selector fitted on these corpora."""
    description = {
        "hyperparameters": hyperparameters(selector),
        "raw": raw.fingerprint,
        "target": target.fingerprint,
        "seed": seed,
        "version": __version__,
    }
    text = json.dumps(description, sort_keys=True, default=repr)
    return f"{selector.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def score_corpus(selector: Selector, raw: Corpus, key: str, *, engine: Engine) -> Scores:
    """Score every document with a fitted selector, or read the scores that are there.

    Raises:
        InputError: a shard cannot be read, or its directory cannot be written.
        MethodError: the selector gives another number of scores than there are documents.
    """
    todo = [shard for shard in raw.shards if not raw.directory(shard).exists(_sidecar(shard, key))]
    for _ in engine.map(partial(_score, corpus=raw, selector=selector, key=key), todo):
        pass
    return read_scores(raw, key)


def read_scores(raw: Corpus, key: str) -> Scores:
    """The scores that lie beside the shards.

    Raises:
        InputError: there are none under this key.
    """
    for shard in raw.shards:
        if not raw.directory(shard).exists(_sidecar(shard, key)):
            raise InputError(
                f"has no scores {key}; name the corpora that were selected from",
                file=shard.location or raw.location,
            )
    frames = [
        pl.read_parquet(io.BytesIO(raw.directory(shard).read(_sidecar(shard, key))))
        for shard in raw.shards
    ]
    frame = pl.concat(frames)
    return Scores(
        frame["score"].to_numpy(),
        frame["text_bytes"].to_numpy(),
        frame["source"],
        frame["reason"] if "reason" in frame.columns else None,
    )


def _sidecar(shard: Shard, key: str) -> str:
    return f"scores/{key}/{shard.name}"


def _score(shard: Shard, *, corpus: Corpus, selector: Selector, key: str) -> None:
    values, lengths, sources = [], [], []
    reasons: list[str | None] = []
    for batch in corpus.shard_batches(shard, ["text", "source"]):
        given, why = selector.judge(batch)
        scores = np.asarray(given, np.float32)
        if scores.shape != (batch.num_rows,):
            raise MethodError(
                f"{selector.name}: score returned shape {scores.shape} for "
                f"{batch.num_rows} documents"
            )
        values.append(scores)
        lengths.append(texts(batch).lengths)
        sources.append(batch.column("source"))
        reasons += why or []
    frame = pl.DataFrame(
        {
            "score": np.concatenate(values),
            "text_bytes": np.concatenate(lengths),
            "source": pl.Series(pl.from_arrow(pa.chunked_array(sources))),
        }
    )
    if reasons:
        frame = frame.with_columns(reason=pl.Series(reasons, dtype=pl.String))
    corpus.directory(shard).write_frame(_sidecar(shard, key), frame)
