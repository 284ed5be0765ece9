"""The verb: score every document, choose, write what was chosen as a corpus again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from leadsman.corpus import Corpus, Extent
from leadsman.corpus.job import Job
from leadsman.corpus.subset import publish, write_subset
from leadsman.corpus.writer import SHARD_BYTES
from leadsman.engine import Engine, ThreadEngine
from leadsman.errors import InputError
from leadsman.registry import method
from leadsman.select.base import Selector
from leadsman.select.features import hashed_counts, kl_divergence, kl_reduction
from leadsman.select.policy import Policy, choose
from leadsman.select.scores import hyperparameters, score_corpus, scores_key

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
            for name in ("offered", "kept")
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
    settings = {"scores": key, "policy": asdict(policy), "seed": seed, "shard_bytes": shard_bytes}
    job = Job(out, "select", settings, [joined, target])
    if job.finished:
        return read_report(out)
    chosen.fit(joined, target, seed=seed)
    scores = score_corpus(chosen, joined, key, engine=engine)
    choice = choose(
        scores.values, scores.text_bytes, policy, sources=scores.sources.to_numpy(), seed=seed
    )
    corpus = write_subset(
        joined, choice.kept, scores.text_bytes, job, engine=engine, shard_bytes=shard_bytes
    )
    target_counts = hashed_counts(target, engine=engine)
    raw_counts = hashed_counts(joined, engine=engine)
    chosen_counts = hashed_counts(corpus, engine=engine)
    report = Selection(
        location=str(out),
        selector=chosen.name,
        settings=hyperparameters(chosen),
        policy=asdict(policy),
        seed=seed,
        scores_key=key,
        offered=joined.sources,
        kept=corpus.sources,
        temperature=choice.temperature,
        effective_size=choice.effective_size,
        overlap_with_top=choice.overlap_with_top,
        kl_raw=kl_divergence(target_counts, raw_counts),
        kl_reduction=kl_reduction(target_counts, raw_counts, chosen_counts),
        cut=choice.cut,
    )
    job.directory.write_json("report.json", report.to_dict())
    publish(corpus, job)
    return report
