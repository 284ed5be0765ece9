"""Runs a sweep: prepares target and pool once, then one proxy for each arm, restartable.

    OUT/sweep.json   the result          OUT/sweep.html   the same as a plot
        arms/        nats on each held-out document, one file an arm; a rerun continues from them
        trained/     the same by what was trained on: two arms that chose the same are one run
        work/        the target's two parts and the pool (no copies of held-out text in it)

The target loses its near copies and is split; the pool loses what the held-out part holds too;
selectors see the reference part only.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leadsman.corpus import Corpus, decontaminate, deduplicate
from leadsman.corpus.ngrams.counts import hashed_counts, kl_divergence, source_counts
from leadsman.corpus.ngrams.proxy import Floats, Mask, NgramProxy, document_sizes
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.split import split_target
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.select.policy import Policy, choose
from leadsman.select.scores import score_corpus, scores_key
from leadsman.select.sweep.design import NEAREST_SOURCE, RANDOM, Arm, SweepDesign, parse_method
from leadsman.select.sweep.neural import NeuralProxy
from leadsman.select.sweep.proxies import Proxy
from leadsman.select.sweep.report import SweepReport, summarise

Watch = Callable[[float, float, str], None]
"""Called with (done, to do, what) as a sweep goes on."""


def sweep(
    raw: Corpus | Sequence[Corpus],
    target: Corpus,
    out: str | Path,
    design: SweepDesign,
    *,
    engine: ThreadEngine | None = None,
    watch: Watch = lambda done, total, what: None,
) -> SweepReport:
    """Train a proxy on every amount of every method and measure it on held-out target text.

    Args:
        raw: what to choose from.
        target: what the choice should be good for.
        out: directory on a local disk.
        design: what to try.
        engine: threads for n-gram proxies; one a core by default.
        watch: told how far it is.

    Raises:
        InputError: a file is at fault, the target is too small to split, or a setting cannot be.
        MissingExtraError: the neural proxy without torch.
    """
    engine = engine or ThreadEngine()
    task = _prepare(Corpus.join(raw), target, Path(out), design, engine, watch)
    groups = [
        list(group)
        for _, group in itertools.groupby(
            design.arms(), lambda arm: (arm.method, arm.seed, arm.view)
        )
    ]
    todo = [group for group in groups if not all(task.done(arm) for arm in group)]
    finished = len(groups) - len(todo)
    watch(finished, len(groups), "proxies")
    # Selecting first and in one thread: the same scores serve both views.
    for method, seed in dict.fromkeys((arms[0].method, arms[0].seed) for arms in todo):
        watch(finished, len(groups), f"selecting by {method}, seed {seed}")
        task.rank(method, seed)
    runner = engine if design.proxy == "ngram" else ThreadEngine(workers=1)
    for arms, _ in runner.map(partial(_measure, task=task), todo):
        finished += 1
        watch(finished, len(groups), f"{arms[0].method}, seed {arms[0].seed}, {arms[0].view}")
    results = {arm: task.read(arm) for arm in design.arms()}
    report = summarise(design, results, task.facts())
    Directory(str(out)).write_json("sweep.json", report.to_dict())
    return report


class _Task:
    """What all arms of a sweep share."""

    def __init__(
        self, design: SweepDesign, pool: Corpus, reference: Corpus, held_out: Corpus, out: Path,
        engine: ThreadEngine, proxy: Proxy,
    ) -> None:  # fmt: skip
        self.design, self.pool, self.reference = design, pool, reference
        self.held_out, self.engine, self.proxy = held_out, engine, proxy
        self.directory = Directory(str(out))
        self.work = out / "work"
        self.sizes = document_sizes(pool)
        self._corpora = " ".join(c.fingerprint for c in (pool, reference, held_out))
        self._keys: dict[tuple[str, int], npt.NDArray[Any]] = {}

    def _file(self, arm: Arm) -> str:
        return f"arms/{self.design.arm_key(arm, self._corpora)}.json"

    def done(self, arm: Arm) -> bool:
        return self.directory.exists(self._file(arm))

    def read(self, arm: Arm) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.directory.read(self._file(arm)))
        return result

    def write(self, arm: Arm, result: dict[str, Any]) -> None:
        self.directory.write_json(self._file(arm), result)

    def trained(self, mask: Mask, size: int | None, seed: int) -> list[float] | None:
        """Nats after training on these documents, if some arm has done that."""
        file = self._trained_file(mask, size, seed)
        if not self.directory.exists(file):
            return None
        nats: list[float] = json.loads(self.directory.read(file))
        return nats

    def keep(self, mask: Mask, size: int | None, seed: int, nats: Floats) -> None:
        """Keep what training on these documents gave."""
        self.directory.write_json(self._trained_file(mask, size, seed), nats.tolist())

    def _trained_file(self, mask: Mask, size: int | None, seed: int) -> str:
        # Counting every n-gram of the same documents gives the same counts with any seed.
        if size is None and isinstance(self.proxy, NgramProxy):
            seed = 0
        own = f"{self.design.proxy} {size} {seed} {self._corpora}".encode()
        digest = hashlib.sha256(own + np.packbits(mask).tobytes()).hexdigest()
        return f"trained/{digest[:20]}.json"

    def rank(self, method: str, seed: int) -> npt.NDArray[Any]:
        """Score of each pool document by a method, shape (documents,)."""
        if (method, seed) not in self._keys:
            self._keys[method, seed] = self._scores(method, seed)
        return self._keys[method, seed]

    def chosen(self, arm: Arm) -> Mask:
        """The documents of an arm."""
        baseline = arm.method in (RANDOM, NEAREST_SOURCE)
        policy = Policy(
            rule="top" if baseline else self.design.rule,
            fraction=arm.amount,
            effective_size=None if baseline else self.design.effective_size,
        )
        return choose(self.rank(arm.method, arm.seed), self.sizes, policy, seed=arm.seed).kept

    def equal_bytes(self) -> int:
        """Training bytes in the view at equal compute."""
        if self.design.equal_bytes is not None:
            return self.design.equal_bytes
        amounts = self.design.all_amounts
        amount = amounts[0] if self.design.proxy == "ngram" else amounts[-1]
        return int(amount * self.pool.text_bytes)

    def facts(self) -> dict[str, Any]:
        """Sizes of everything, for the report."""
        return {
            "pool_documents": self.pool.documents,
            "pool_bytes": self.pool.text_bytes,
            "pool_sources": {name: e.text_bytes for name, e in self.pool.sources.items()},
            "reference_documents": self.reference.documents,
            "held_out_documents": self.held_out.documents,
            "held_out_bytes": self.held_out.text_bytes,
            "equal_bytes": self.equal_bytes(),
            "unit_bytes": self.proxy.sizes,
        }

    def _scores(self, method: str, seed: int) -> npt.NDArray[Any]:
        noise = np.random.default_rng([seed, 2]).random(self.pool.documents)
        if method == RANDOM:
            return noise
        reference = self._reference(seed)
        if method == NEAREST_SOURCE:
            wanted = hashed_counts(reference, engine=self.engine)
            distance = {
                name: kl_divergence(wanted, counts)
                for name, counts in source_counts(self.pool).items()
            }
            order = sorted(distance, key=lambda name: -distance[name])
            place = {name: position for position, name in enumerate(order)}
            names = [
                name
                for batch in self.pool.batches(["source"])
                for name in batch.column("source").to_pylist()
            ]
            return np.array([place[name] for name in names]) + noise
        selector = parse_method(method)
        selector.fit(self.pool, reference, seed=seed)
        key = scores_key(selector, self.pool, reference, seed=seed)
        return score_corpus(selector, self.pool, key, engine=self.engine).values

    def _reference(self, seed: int) -> Corpus:
        """The part of the reference that one seed selects by."""
        share = self.design.reference_share
        if share == 1:
            return self.reference
        count = max(1, round(share * self.reference.documents))
        drawn = np.random.default_rng([seed, 3]).permutation(self.reference.documents)[:count]
        mask = np.zeros(self.reference.documents, np.bool_)
        mask[drawn] = True
        return _part(
            self.reference, mask, self.work / f"reference-{seed}", {"seed": seed, "share": share}
        )


def _prepare(
    raw: Corpus, target: Corpus, out: Path, design: SweepDesign, engine: ThreadEngine, watch: Watch
) -> _Task:
    """Split the target and clean the pool."""
    work = out / "work"
    watch(0, 1, "preparing the target")
    unique = deduplicate(target, work / "target", engine=engine).corpus
    reference, held_out = split_target(
        unique, work / "split", held_out=design.held_out, held_out_bytes=design.held_out_bytes,
        seed=design.seed,
    )  # fmt: skip
    watch(0, 1, "preparing the pool")
    if raw.text_bytes > design.pool_bytes:
        order = np.random.default_rng([design.seed, 4]).permutation(raw.documents)
        sizes = document_sizes(raw)
        mask = np.zeros(raw.documents, np.bool_)
        mask[order[np.cumsum(sizes[order]) <= design.pool_bytes]] = True
        raw = _part(raw, mask, work / "sample", {"seed": design.seed, "bytes": design.pool_bytes})
    pool = decontaminate(raw, held_out, work / "pool", engine=engine).corpus
    smallest = design.all_amounts[0] * pool.text_bytes
    if smallest < document_sizes(pool).mean():
        raise InputError(
            f"{design.all_amounts[0]:g} of {pool.text_bytes} bytes is less than one document; "
            f"sweep over larger amounts",
            column="sweep",
        )
    proxy: Proxy
    if design.proxy == "ngram":
        proxy = NgramProxy(pool, held_out)
    else:
        proxy = NeuralProxy(pool, held_out, work)
    return _Task(design, pool, reference, held_out, out, engine, proxy)


def _part(corpus: Corpus, mask: Mask, out: Path, settings: dict[str, Any]) -> Corpus:
    job = Job(out, "part", settings, [corpus])
    if job.finished:
        return Corpus.open(out)
    part = write_subset(corpus, mask, document_sizes(corpus), job, engine=ThreadEngine())
    return publish(part, job)


def _measure(arms: list[Arm], *, task: _Task) -> None:
    """Train and measure the amounts of one method, seed and view."""
    size = None if arms[0].view == "own size" else task.equal_bytes()
    seed = arms[0].seed
    todo = [(arm, task.chosen(arm)) for arm in arms if not task.done(arm)]
    fresh = [mask for _, mask in todo if task.trained(mask, size, seed) is None]
    # A neural proxy one by one: what is finished when the command is killed stays finished.
    for masks in [fresh] if isinstance(task.proxy, NgramProxy) else [[mask] for mask in fresh]:
        losses = task.proxy.losses(masks, training_bytes=size, seed=seed)
        for mask, nats in zip(masks, losses, strict=True):
            task.keep(mask, size, seed, nats)
    for arm, mask in todo:
        result = {"documents": int(mask.sum()), "bytes": int(task.sizes[mask].sum())}
        task.write(arm, result | {"nats": task.trained(mask, size, seed)})
