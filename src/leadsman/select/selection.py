"""The verb: score every document, choose, write what was chosen as a corpus again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.corpus import Corpus, Extent
from leadsman.corpus.ngrams.counts import Counts, hashed_counts, kl_divergence, kl_reduction
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.corpus.shards.writer import SHARD_BYTES
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError
from leadsman.registry import method
from leadsman.select.base import Selector
from leadsman.select.methods.dsir import DSIR
from leadsman.select.policy import Choice, Policy, choose
from leadsman.select.scores import Scores, hyperparameters, score_corpus, scores_key
from leadsman.select.tokens import BYTES_PER_TOKEN, TokenRate, measured_rate

MEMORY_PER_DOCUMENT = 64
"""Bytes held for each raw document: score, key, order, size, source."""


@dataclass(frozen=True)
class Selection:
    """What was chosen.

    Attributes:
        location: the chosen documents, a corpus (:attr:`corpus`).
        selector: name of the method.
        settings: its hyperparameters.
        policy: how scores became a choice.
        seed: of the selector and the policy.
        scores_key: name of the sidecar directory of scores beside the raw shards.
        offered: raw documents and bytes, by source.
        kept: chosen documents and bytes, by source.
        temperature: of the draw; 1 if the policy draws nothing.
        effective_size: of the weights over all raw documents, in documents.
        overlap_with_top: share of the chosen documents that taking the highest scores gives too.
        kl_raw: KL(target || raw) on hashed uni- and bigrams, nats.
        kl_reduction: KL(target || raw) - KL(target || chosen), nats.
        cut: lowest key chosen; the key is the score, with noise added where the policy draws.
        tokens: chosen, where the amount was given in tokens; ``None`` else.
        token_rate: how tokens were told: bytes a token, and the tokenizer if there was one.
        reasons: documents and bytes not chosen, by the selector's reason, where it gives one.
    """

    location: str
    selector: str
    settings: Mapping[str, Any]
    policy: Mapping[str, Any]
    seed: int
    scores_key: str
    offered: Mapping[str, Extent]
    kept: Mapping[str, Extent]
    temperature: float
    effective_size: float
    overlap_with_top: float
    kl_raw: float
    kl_reduction: float
    cut: float
    tokens: int | None = None
    token_rate: Mapping[str, Any] | None = None
    reasons: Mapping[str, Extent] = field(default_factory=dict)

    @property
    def corpus(self) -> Corpus:
        """The chosen documents."""
        return Corpus.open(self.location)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Selection:
        """The inverse of :meth:`to_dict`."""
        extents = {
            name: {source: Extent(**extent) for source, extent in plain[name].items()}
            for name in ("offered", "kept", "reasons")
        }
        return cls(**{**plain, **extents})


def read_report(out: str | Path) -> Selection:
    """The report of a selection that is finished.

    Raises:
        InputError: ``out`` is not the result of a selection.
    """
    corpus = Corpus.open(out)
    if not corpus.job.startswith("select-"):
        raise InputError("is a corpus, but not the result of a selection", file=out)
    return Selection.from_dict(json.loads(corpus.directory().read("report.json")))


def select(
    raw: Corpus | Sequence[Corpus],
    target: Corpus,
    out: str | Path,
    *,
    selector: str | Selector = "dsir",
    policy: Policy,
    tokenizer: str | Path | None = None,
    bytes_per_token: float = BYTES_PER_TOKEN,
    seed: int = 0,
    engine: Engine | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Selection:
    """Choose documents of ``raw`` for ``target`` and write them as a corpus.

    Args:
        raw: what to choose from; several corpora are taken as one.
        target: what the choice should be good for.
        out: directory or URL of the chosen corpus.
        selector: a registered name, or a selector that is not yet fitted.
        policy: how much to keep, and how.
        tokenizer: ``tokenizer.json`` that says what a token is, for an amount in tokens.
        bytes_per_token: used for that without a tokenizer.
        seed: of the selector and of the policy's draw.
        engine: where scoring and writing happen; threads of this process by default.
        shard_bytes: text in an output shard.

    Raises:
        InputError: nothing is chosen, ``out`` holds other work, or a file is at fault.
        MethodError: the selector cannot work with these corpora.
    """
    engine = engine or ThreadEngine()
    joined = Corpus.join(raw)
    chosen = (
        cast(Selector, method("selector", selector)()) if isinstance(selector, str) else selector
    )
    key = scores_key(chosen, joined, target, seed=seed)
    rate = _token_rate(joined, policy, tokenizer, bytes_per_token, seed)
    settings = {
        "scores": key,
        "token_rate": rate and asdict(rate),
        "policy": asdict(policy),
        "seed": seed,
        "shard_bytes": shard_bytes,
    }
    job = Job(out, "select", settings, [joined, target])
    if job.finished:
        return read_report(out)
    chosen.fit(joined, target, seed=seed)
    scores = score_corpus(chosen, joined, key, engine=engine)
    sources = scores.sources.to_numpy()
    choice = choose(
        scores.values,
        scores.text_bytes,
        policy,
        tokens=rate.of(scores.text_bytes, sources) if rate else None,
        sources=sources,
        seed=seed,
    )
    corpus = write_subset(
        joined, choice.kept, scores.text_bytes, job, engine=engine, shard_bytes=shard_bytes
    )
    report = Selection(
        **_described(chosen, joined, target, corpus, engine),
        **_chosen(policy, choice, scores),
        seed=seed,
        scores_key=key,
        tokens=rate.count(corpus) if rate else None,
        token_rate=asdict(rate) if rate else None,
    )
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report


def _chosen(policy: Policy, choice: Choice, scores: Scores) -> dict[str, Any]:
    """How scores became a choice, as fields of the report."""
    return {
        "policy": asdict(policy),
        "temperature": choice.temperature,
        "effective_size": choice.effective_size,
        "overlap_with_top": choice.overlap_with_top,
        "cut": choice.cut,
        "reasons": _reasons(scores, choice.kept),
    }


def _described(
    selector: Selector, raw: Corpus, target: Corpus, chosen: Corpus, engine: Engine
) -> dict[str, Any]:
    """What was chosen from what, and how near the target it is, as fields of the report."""
    wanted = hashed_counts(target, engine=engine)
    offered = _counted(selector)
    if offered is None:
        offered = hashed_counts(raw, engine=engine)
    taken = hashed_counts(chosen, engine=engine)
    return {
        "location": chosen.location,
        "selector": selector.name,
        "settings": hyperparameters(selector),
        "offered": raw.sources,
        "kept": chosen.sources,
        "kl_raw": kl_divergence(wanted, offered),
        "kl_reduction": kl_reduction(wanted, offered, taken),
    }


def _token_rate(
    raw: Corpus, policy: Policy, tokenizer: str | Path | None, bytes_per_token: float, seed: int
) -> TokenRate | None:
    if policy.tokens is None:
        return None
    if tokenizer is None:
        return TokenRate(bytes_per_token)
    return measured_rate(raw, tokenizer, seed=seed)


def _reasons(scores: Scores, kept: npt.NDArray[np.bool_]) -> dict[str, Extent]:
    """What was not chosen, by reason."""
    if scores.reasons is None:
        return {}
    frame = pl.DataFrame({"reason": scores.reasons, "size": scores.text_bytes, "kept": kept})
    grouped = (
        frame.filter(~pl.col("kept") & pl.col("reason").is_not_null())
        .group_by("reason")
        .agg(pl.len(), pl.col("size").sum())
        .sort("reason")
    )
    return {reason: Extent(documents, size) for reason, documents, size in grouped.rows()}


def _counted(selector: Selector) -> Counts | None:
    """The raw counts, if the selector has counted what the report needs."""
    if isinstance(selector, DSIR) and (selector.n, selector.buckets) == (2, 10_000):
        return selector.raw_counts_
    return None
