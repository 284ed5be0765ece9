"""GAIS: documents that a graph attention network looks at when it tells target from raw.

    score(d) = mean over graphs of  P(target | d) * sum_{i in N(d)} mean_h a_idh

Documents are nodes, joined where their vectors are near; the network
(:mod:`leadsman.select.methods.graph_attention`) learns which nodes are the target's, and a_id is
the attention that node i pays to d. Rustamov, Zaitouny & Zaki, "Scalable Graph Attention-based
Instance Selection via Mini-Batch Sampling and Hierarchical Hashing" (2025, catalogue 223), by
their distance-based mini-batches:

1. Mini-batches with the class shares of the whole; each is a graph of its own.
2. In a graph, edges between the nearest ``edge_share`` of all pairs.
3. A network for all graphs, trained by cross-entropy.
4. A document that is scored joins each graph as one more node: its neighbours' attention to it
   follows from the softmax sums that are kept, so scores do not depend on other documents.

What differs from the paper: it reduces labelled tables class by class, with attention alone
as importance. Here only raw documents can be taken, and they are wanted for the target, hence the
factor P(target | d). Graphs by random-projection hashing, its other variants, are not here.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.vectors.embedding import HashedSVD, embed_sample
from leadsman.errors import InputError, MethodError
from leadsman.methods import Paper
from leadsman.select.base import Selector
from leadsman.select.methods.graph_attention import (
    SLOPE,
    Adam,
    Floats,
    Mask,
    Weights,
    forward,
    loss,
)

Vectors = npt.NDArray[np.float32]


class GAIS(Selector):
    """Documents that attention singles out on the target's side of the boundary.

    Args:
        max_documents: most raw documents, and most target documents, in the graphs.
        dimensions: of the vectors (:class:`leadsman.corpus.vectors.embedding.HashedSVD`).
        batch: nodes in a graph.
        edge_share: share of a graph's pairs that are joined, in (0, 1].
        heads, width: of the network.
        epochs: passes over the graphs.
        rate, decay: of AdamW.

    Attributes:
        weights_: of the network.
        losses_: mean loss of each epoch, nats.
    """

    name = "gais"
    paper = Paper(
        "Scalable Graph Attention-based Instance Selection via Mini-Batch Sampling and "
        "Hierarchical Hashing",
        2025,
        223,
    )

    def __init__(
        self,
        *,
        max_documents: int = 1000,
        dimensions: int = 64,
        batch: int = 256,
        edge_share: float = 0.1,
        heads: int = 4,
        width: int = 8,
        epochs: int = 40,
        rate: float = 0.01,
        decay: float = 0.01,
    ) -> None:
        for name, value, least in (
            ("max_documents", max_documents, 2),
            ("dimensions", dimensions, 1),
            ("batch", batch, 4),
            ("heads", heads, 1),
            ("width", width, 1),
            ("epochs", epochs, 1),
        ):
            if value < least:
                raise MethodError(f"gais: {name} must be at least {least}, not {value}")
        if not 0 < edge_share <= 1:
            raise MethodError(f"gais: edge_share must be in (0, 1], not {edge_share}")
        if not (0 < rate < float("inf") and 0 <= decay < float("inf")):
            raise MethodError(
                f"gais: rate must be above 0 and decay not below, not {rate} and {decay}"
            )
        self.max_documents = max_documents
        self.dimensions = dimensions
        self.batch = batch
        self.edge_share = edge_share
        self.heads = heads
        self.width = width
        self.epochs = epochs
        self.rate = rate
        self.decay = decay
        self.embedding_: HashedSVD | None = None
        self.weights_: Weights | None = None
        self.losses_: list[float] = []
        self._graphs: list[tuple[Vectors, float]] = []
        self._kept: list[tuple[Floats, Floats, Floats]] = []

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Train the network on graphs of raw and target documents drawn with ``seed``.

        Raises:
            InputError: no document of ``raw`` or of ``target`` holds a word.
        """
        self.embedding_ = HashedSVD(self.dimensions).fit(raw, seed=seed)
        sides = [self._sample(corpus, seed) for corpus in (raw, target)]
        nodes = np.concatenate(sides)
        labels = np.arange(len(nodes)) >= len(sides[0])
        graphs = [
            (nodes[part], labels[part], *self._edges(nodes[part]))
            for part in stratified(labels, self.batch, seed=seed)
        ]
        self.weights_ = Weights.drawn(nodes.shape[1], self.heads, self.width, seed=seed)
        adam = Adam(self.weights_.arrays(), rate=self.rate, decay=self.decay)
        self.losses_ = []
        for _ in range(self.epochs):
            total = 0.0
            for vectors, wanted, edges, _ in graphs:
                value, gradient, _ = loss(self.weights_, vectors.astype(np.float64), edges, wanted)
                adam.step(gradient)
                total += value / len(graphs)
            self.losses_.append(total)
        self._graphs = [(vectors, least) for vectors, _, _, least in graphs]
        self._kept = [self._softmax_sums(vectors, edges) for vectors, _, edges, _ in graphs]
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Attention received, times the target's probability; minus infinity without words."""
        if self.embedding_ is None or self.weights_ is None:
            raise MethodError("gais: call fit before score")
        vectors = self.embedding_.embed(batch)
        total = np.zeros(len(vectors))
        weights = self.weights_
        for (nodes, least), (z, left, sums) in zip(self._graphs, self._kept, strict=True):
            _join(
                vectors, nodes, least, z, left, sums, weights.w, weights.left, weights.right,
                weights.out, float(weights.bias[0]), total,
            )  # fmt: skip
        scores = (total / len(self._graphs)).astype(np.float32)
        scores[~np.any(vectors != 0, axis=1)] = -np.inf
        return scores

    def _sample(self, corpus: Corpus, seed: int) -> Vectors:
        """Vectors of a sample's documents that hold words."""
        assert self.embedding_ is not None
        vectors, _ = embed_sample(self.embedding_, corpus, self.max_documents, seed=seed)
        if not len(vectors):
            raise InputError("holds no words that the raw documents have", file=corpus.location)
        return vectors

    def _edges(self, vectors: Vectors) -> tuple[Mask, float]:
        """The nearest pairs of a graph, each node with itself, and the least cosine of a pair."""
        cosines = vectors @ vectors.T
        pairs = cosines[np.triu_indices(len(vectors), 1)]
        least = float(np.quantile(pairs, 1 - self.edge_share)) if len(pairs) else 1.0
        edges = cosines >= least
        np.fill_diagonal(edges, True)
        return edges, least

    def _softmax_sums(self, vectors: Vectors, edges: Mask) -> tuple[Floats, Floats, Floats]:
        """Of each node: z; l . z; and the sum of exponents under its attention, by head."""
        assert self.weights_ is not None
        done = forward(self.weights_, vectors.astype(np.float64), edges)
        left = np.einsum("nhf,hf->nh", done.z, self.weights_.left)
        raw = np.where(done.raw > 0, done.raw, SLOPE * done.raw)
        sums = np.where(edges, np.exp(raw), 0).sum(axis=2).T
        return done.z, np.ascontiguousarray(left), np.ascontiguousarray(sums)


def stratified(labels: Mask, size: int, *, seed: int) -> list[npt.NDArray[np.int64]]:
    """Deal nodes into mini-batches of about ``size``, each with the class shares of the whole.

    There are as many batches as keep both classes in each.
    """
    generator = np.random.default_rng(seed)
    classes = [generator.permutation(np.flatnonzero(labels == one)) for one in (False, True)]
    count = max(1, min(round(len(labels) / size), *map(len, classes)))
    dealt = zip(*(np.array_split(members, count) for members in classes))
    return [np.concatenate(parts) for parts in dealt]


@jit
def _join(
    vectors: Vectors,
    nodes: Vectors,
    least: float,
    z: Floats,
    left: Floats,
    sums: Floats,
    w: Floats,
    to_left: Floats,
    to_right: Floats,
    out: Floats,
    bias: float,
    total: Floats,
) -> None:
    """Add to ``total`` what each vector scores as one more node of a graph."""
    inputs, heads, width = w.shape
    for d in range(len(vectors)):
        received, logit = 0.0, bias
        near = np.empty(len(nodes), np.bool_)
        for i in range(len(nodes)):
            cosine = 0.0
            for k in range(inputs):
                cosine += np.float64(vectors[d, k]) * np.float64(nodes[i, k])
            near[i] = cosine >= least
        for h in range(heads):
            own = np.zeros(width)
            for k in range(inputs):
                for f in range(width):
                    own[f] += np.float64(vectors[d, k]) * w[k, h, f]
            to_others, to_me = 0.0, 0.0
            for f in range(width):
                to_others += to_left[h, f] * own[f]
                to_me += to_right[h, f] * own[f]
            weight = np.exp(_leaky(to_others + to_me))
            mixed, filled = own * weight, weight
            for i in range(len(nodes)):
                if not near[i]:
                    continue
                paid = np.exp(_leaky(left[i, h] + to_me))
                received += paid / (sums[i, h] + paid) / heads
                there = 0.0
                for f in range(width):
                    there += to_right[h, f] * z[i, h, f]
                weight = np.exp(_leaky(to_others + there))
                filled += weight
                for f in range(width):
                    mixed[f] += weight * z[i, h, f]
            for f in range(width):
                value = mixed[f] / filled
                logit += out[h * width + f] * (value if value > 0 else np.expm1(value))
        total[d] += received / (1 + np.exp(-logit))


@jit
def _leaky(x: float) -> float:
    return x if x > 0 else SLOPE * x
