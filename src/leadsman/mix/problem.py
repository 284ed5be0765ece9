"""What a mixer is given: sources, a target to tune by, limits, and cheap runs to ask.

A cheap run draws ``proxy_bytes`` of text from the sources in the proportions of a mixture, trains
an n-gram model on it (:mod:`leadsman.corpus.ngrams.proxy`) and gives its bits per byte on the
target. With one seed, two mixtures draw from each source the same documents in the same order, so
that their difference is due to the proportions.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from leadsman.corpus import Corpus
from leadsman.corpus.ngrams.proxy import Mask, NgramProxy, document_sizes
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.runs import Mixture

Floats = npt.NDArray[np.float64]
Watch = Callable[[float, float, str], None]
PROXY_BYTES = 2_000_000


class MixingProblem:
    """Sources in proportions to be found, for a target.

    Args:
        sources: documents with their ``source``.
        target: documents to tune by.
        proxy_bytes: text a cheap run trains on; by default 2 MB, a fifth of all text at most.
        training_bytes: text of the run the mixture is for; limits small sources. By default as
            little as ``proxy_bytes``.
        max_epochs: how often that run may read a source.
        work: directory where results of cheap runs are kept; nothing is kept without.
        engine: threads for cheap runs; one a core by default.
        watch: called with (done, to do, what).

    Attributes:
        names: of the sources, in order.
        sizes: bytes of each, shape (sources,).
        most: largest share of each, shape (sources,); they add up to at least 1.

    Raises:
        InputError: fewer than two sources, or all of them together cannot fill a run.
    """

    def __init__(
        self,
        sources: Corpus,
        target: Corpus,
        *,
        proxy_bytes: int | None = None,
        training_bytes: int | None = None,
        max_epochs: float = 4.0,
        work: Directory | None = None,
        engine: ThreadEngine | None = None,
        watch: Watch = lambda done, total, what: None,
    ) -> None:
        self.sources, self.target, self.work = sources, target, work
        self.engine, self.watch = engine or ThreadEngine(), watch
        self.names = list(sources.sources)
        if len(self.names) < 2:
            raise InputError(
                f"holds one source, {self.names[0]!r}; there is nothing to mix",
                file=sources.location,
            )
        self.sizes = np.array([sources.sources[name].text_bytes for name in self.names], float)
        self.proxy_bytes = proxy_bytes or max(1, min(PROXY_BYTES, sources.text_bytes // 5))
        if not 0 < self.proxy_bytes <= sources.text_bytes:
            raise InputError(
                f"must be 1 to {sources.text_bytes} (all there is), not {self.proxy_bytes}",
                column="proxy_bytes",
            )
        if not max_epochs > 0:
            raise InputError(f"must be above zero, not {max_epochs}", column="max_epochs")
        if training_bytes is not None and training_bytes < 1:
            raise InputError(f"must be at least 1, not {training_bytes}", column="training_bytes")
        self.most = np.minimum(1.0, self.sizes / self.proxy_bytes)
        if training_bytes is not None:
            self.most = np.minimum(self.most, max_epochs * self.sizes / training_bytes)
        if self.most.sum() < 1:
            raise InputError(
                f"{max_epochs:g} times all sources, {max_epochs * self.sizes.sum():.0f} bytes, do "
                f"not fill a run of {training_bytes} bytes; allow more epochs",
                column="training_bytes",
            )

    @property
    def natural(self) -> Floats:
        """Shares by size, shape (sources,)."""
        return np.asarray(self.sizes / self.sizes.sum())

    def mixture(self, name: str, weights: npt.ArrayLike) -> Mixture:
        """Shares as a mixture, cut to what the sources can give."""
        shares = fill(np.asarray(weights, float), self.most)
        return Mixture(name, dict(zip(self.names, shares.tolist(), strict=True)))

    def losses(
        self, mixtures: Sequence[Mixture], seeds: Sequence[int], *, on: Corpus | None = None
    ) -> Floats:
        """Bits per byte of a cheap run on each mixture, shape (mixtures,).

        Args:
            mixtures: what to draw.
            seeds: of each run's draw, one a mixture.
            on: documents to measure on; the target by default.
        """
        proxy = self._proxy if on is None else NgramProxy(self.sources, on)
        place = (self.target if on is None else on).fingerprint
        found = np.full(len(mixtures), np.nan)
        todo = []
        for i, (mixture, seed) in enumerate(zip(mixtures, seeds, strict=True)):
            kept = self._kept(mixture, seed, place)
            if kept is None:
                todo.append(i)
            else:
                found[i] = kept

        def run(i: int) -> float:
            mask = self.draw(mixtures[i], seeds[i])
            (nats,) = proxy.losses([mask], training_bytes=None, seed=seeds[i])
            return float(nats.sum() / math.log(2) / proxy.sizes.sum())

        for i, loss in self.engine.map(run, todo):
            found[i] = loss
            if self.work is not None:
                file = self._file(mixtures[i], seeds[i], place)
                self.work.write_json(file, {"bpb": loss})
            self.watch(float(np.isfinite(found).sum()), len(found), "cheap runs")
        return found

    def draw(self, mixture: Mixture, seed: int) -> Mask:
        """The documents of a cheap run: of each source the first of a shuffle that fit."""
        mask = np.zeros(self.sources.documents, np.bool_)
        for position, name in enumerate(self.names):
            numbers, sizes = self._documents[name]
            order = np.random.default_rng([seed, position]).permutation(len(numbers))
            wanted = mixture.weights.get(name, 0.0) * self.proxy_bytes
            count = int(np.searchsorted(np.cumsum(sizes[order]), wanted, side="right"))
            mask[numbers[order[:count]]] = True
        if not mask.any():
            raise InputError(
                f"{self.proxy_bytes} bytes hold no whole document of any source; raise it",
                column="proxy_bytes",
            )
        return mask

    @cached_property
    def _proxy(self) -> NgramProxy:
        return NgramProxy(self.sources, self.target)

    @cached_property
    def _documents(self) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Numbers and sizes of the documents of each source."""
        sizes = document_sizes(self.sources)
        names = np.concatenate(
            [
                np.asarray(batch.column("source").to_pylist(), object)
                for batch in self.sources.batches(["source"])
            ]
        )
        places = {name: np.flatnonzero(names == name) for name in self.names}
        return {name: (numbers, sizes[numbers]) for name, numbers in places.items()}

    def _kept(self, mixture: Mixture, seed: int, place: str) -> float | None:
        file = self._file(mixture, seed, place)
        if self.work is None or not self.work.exists(file):
            return None
        return float(json.loads(self.work.read(file))["bpb"])

    def _file(self, mixture: Mixture, seed: int, place: str) -> str:
        description: list[Any] = [dict(mixture.weights), seed, place]
        description += [self.sources.fingerprint, self.proxy_bytes]
        text = json.dumps(description, sort_keys=True)
        return f"runs/{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def fill(weights: Floats, most: Floats) -> Floats:
    """Shares in the proportions of ``weights``, cut at ``most``; what is cut goes to the others.

    Args:
        weights: zero or more, shape (n,).
        most: largest shares, shape (n,), adding up to at least 1.

    >>> fill(np.array([8.0, 1.0, 1.0]), np.array([0.5, 1.0, 1.0])).tolist()
    [0.5, 0.25, 0.25]
    """
    shares = np.zeros_like(weights, float)
    free = np.ones(len(weights), np.bool_)
    for _ in range(len(weights) + 1):
        left = 1 - shares[~free].sum()
        wanted = weights[free]
        # Where the rest has no weight to speak of, it is filled by room.
        wanted = wanted if wanted.sum() > 1e-12 * weights.sum() else most[free]
        shares[free] = left * wanted / wanted.sum()
        over = free & (shares > most + 1e-12)
        if not over.any():
            break
        shares[over] = most[over]
        free &= ~over
        if not free.any():
            break
    return np.asarray(shares / shares.sum())
