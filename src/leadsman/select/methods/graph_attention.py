"""A small graph attention network over dense graphs, with its gradient: numpy, no torch.

One layer of H heads and a logistic output, for each node i of a graph with neighbours N(i), of
which i is one:

    z_ih = W_h x_i          e_ijh = LeakyReLU(l_h . z_ih + r_h . z_jh)
    a_ijh = exp e_ijh / sum_{k in N(i)} exp e_ikh
    g_i  = [ELU(sum_j a_ijh z_jh)]_h           p_i = sigmoid(u . g_i + c)

Veličković et al., "Graph Attention Networks" (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
SLOPE = 0.2
"""Of LeakyReLU below zero."""


@dataclass
class Weights:
    """What is learned.

    Attributes:
        w: shape (inputs, heads, width).
        left, right: l and r, shape (heads, width).
        out: u, shape (heads * width,).
        bias: c, shape (1,).
    """

    w: Floats
    left: Floats
    right: Floats
    out: Floats
    bias: Floats

    @classmethod
    def drawn(cls, inputs: int, heads: int, width: int, *, seed: int) -> Weights:
        """Starting values: normal, of variance 1 / inputs (1 / width for l, r and u)."""
        generator = np.random.default_rng(seed)
        return cls(
            w=generator.normal(0, inputs**-0.5, (inputs, heads, width)),
            left=generator.normal(0, width**-0.5, (heads, width)),
            right=generator.normal(0, width**-0.5, (heads, width)),
            out=generator.normal(0, (heads * width) ** -0.5, heads * width),
            bias=np.zeros(1),
        )

    def arrays(self) -> list[Floats]:
        """All of them, in the order of the fields."""
        return [self.w, self.left, self.right, self.out, self.bias]


@dataclass(frozen=True)
class Pass:
    """One pass through a graph of n nodes; ``probabilities`` has shape (n,).

    Attributes:
        z: shape (n, heads, width).
        raw: attention before LeakyReLU, shape (heads, n, n).
        attention: a, shape (heads, n, n); row i sums to one.
        hidden: g before ELU, shape (n, heads, width).
        probabilities: p.
    """

    z: Floats
    raw: Floats
    attention: Floats
    hidden: Floats
    probabilities: Floats


def forward(weights: Weights, nodes: Floats, edges: Mask) -> Pass:
    """Attention and class of each node.

    Args:
        weights: of the network.
        nodes: x, shape (n, inputs).
        edges: whether j is a neighbour of i, shape (n, n); every node is its own.
    """
    z = np.einsum("nd,dhf->nhf", nodes, weights.w)
    left, right = (np.einsum("nhf,hf->hn", z, side) for side in (weights.left, weights.right))
    raw = left[:, :, None] + right[:, None, :]
    scores = np.where(edges, np.where(raw > 0, raw, SLOPE * raw), -np.inf)
    attention = np.exp(scores - scores.max(axis=2, keepdims=True))
    attention /= attention.sum(axis=2, keepdims=True)
    hidden = np.einsum("hij,jhf->ihf", attention, z)
    logits = _elu(hidden).reshape(len(nodes), -1) @ weights.out + weights.bias
    return Pass(z, raw, attention, hidden, 1 / (1 + np.exp(-np.clip(logits, -500, 500))))


def loss(
    weights: Weights, nodes: Floats, edges: Mask, labels: Mask
) -> tuple[float, list[Floats], Pass]:
    """Cross-entropy in nats, each class weighing half, and its gradient.

    Args:
        weights, nodes, edges: see :func:`forward`.
        labels: class of each node, shape (n,); both classes are there.

    Returns:
        The loss, its gradient by each array of the weights, and the pass.
    """
    done = forward(weights, nodes, edges)
    share = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    right = np.where(labels, done.probabilities, 1 - done.probabilities)
    value = -float(share @ np.log(np.maximum(right, 1e-300)))
    by_logit = share * (done.probabilities - labels)
    active = _elu(done.hidden)
    by_out = active.reshape(len(nodes), -1).T @ by_logit
    by_hidden = by_logit[:, None] * weights.out
    by_hidden = by_hidden.reshape(done.hidden.shape) * np.where(done.hidden > 0, 1, active + 1)
    by_attention = np.einsum("ihf,jhf->hij", by_hidden, done.z)
    inner = (done.attention * by_attention).sum(axis=2, keepdims=True)
    by_raw = done.attention * (by_attention - inner) * np.where(done.raw > 0, 1, SLOPE)
    by_left, by_right = by_raw.sum(axis=2), by_raw.sum(axis=1)
    by_z = np.einsum("hij,ihf->jhf", done.attention, by_hidden)
    by_z += np.einsum("hn,hf->nhf", by_left, weights.left)
    by_z += np.einsum("hn,hf->nhf", by_right, weights.right)
    gradient = [
        np.einsum("nd,nhf->dhf", nodes, by_z),
        np.einsum("hn,nhf->hf", by_left, done.z),
        np.einsum("hn,nhf->hf", by_right, done.z),
        by_out,
        by_logit.sum(keepdims=True),
    ]
    return value, gradient, done


class Adam:
    """Kingma & Ba (2015), with weight decay as in AdamW, on a list of arrays, in place."""

    def __init__(self, arrays: list[Floats], *, rate: float, decay: float) -> None:
        self.arrays, self.rate, self.decay = arrays, rate, decay
        self.first = [np.zeros_like(array) for array in arrays]
        self.second = [np.zeros_like(array) for array in arrays]
        self.steps = 0

    def step(self, gradient: list[Floats]) -> None:
        """One update."""
        self.steps += 1
        correct = np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for array, slope, first, second in zip(
            self.arrays, gradient, self.first, self.second, strict=True
        ):
            first += 0.1 * (slope - first)
            second += 0.001 * (slope**2 - second)
            array -= self.rate * (correct * first / (np.sqrt(second) + 1e-8) + self.decay * array)


def _elu(x: Floats) -> Floats:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
