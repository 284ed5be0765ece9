"""Dataset decomposition: sequences of one document each, of power-of-two lengths, by curriculum.

Pouransari et al., "Dataset Decomposition: Faster LLM Training with Variable Sequence Length
Curriculum" (2024, catalogue 482). A document of n tokens is cut into pieces by the binary digits
of n, longest first: 700 = 512 + 128 + 32 + 16 + 8 + 4, where nothing is longer than ``seq_len`` or
shorter than ``shortest``; what is left over is not trained on and is told. Pieces of one length
make a bucket; a step reads ``batch_tokens`` from one bucket, so attention costs what the documents
are long, and never crosses from one to another.

A run goes in cycles of ``cycle_tokens``. In each, buckets appear in proportion to their tokens
(exact to one batch), in an order drawn without replacement, where each batch left in the cycle has
odds by its length. With K buckets, k = 0 the shortest, the odds are

    natural 1      grow-linear K - k      grow-p2 2^(K-1-k)      grow-p100 100^(K-1-k)
    shrink-p100 100^k

Each sequence of a step comes from the source furthest behind its share, in tokens, of those that
have pieces of that length. Where lengths differ between sources, shares are therefore met over a
cycle as far as lengths allow; the epochs in the ledger are exact counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from leadsman.errors import InputError
from leadsman.runs import Packing, Recipe
from leadsman.train.feed.source import checked_source, name_key
from leadsman.train.tokens import TokenSet

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BucketFeed:
    """Batches of one length each; see :class:`~leadsman.train.feed.RecipeFeed`.

    Args:
        recipe: with ``packing.name`` ``buckets`` and no batch ramp.
        sources: token set of each source.

    Raises:
        InputError: a source that is not there, has another vocabulary or no piece of any length;
            a batch ramp.
    """

    separator = None

    def __init__(self, recipe: Recipe, sources: Mapping[str, TokenSet]) -> None:
        if recipe.schedule.ramp_tokens:
            raise InputError("a batch ramp does not go with buckets", column="packing")
        self.recipe = recipe
        weights = {name: weight for name, weight in recipe.mixture.weights.items() if weight > 0}
        self.names, self._weights = list(weights), np.array(list(weights.values()))
        self.lengths = bucket_lengths(recipe.packing, recipe.shape.seq_len)
        self._sources = [
            _Pieces(
                name,
                checked_source(sources, name, recipe.mixture, vocab_size=recipe.shape.vocab_size),
                self.lengths,
                recipe.seed,
            )
            for name in self.names
        ]
        shares = np.array([source.tokens_by_length / source.used for source in self._sources])
        self._bucket_shares = self._weights @ shares
        self._cycle_steps = max(1, recipe.packing.cycle_tokens // recipe.batch_tokens)
        self._buckets = np.empty(0, dtype=np.int64)
        self._bucket_drawn = np.zeros(len(self.lengths), dtype=np.int64)
        self._choices: list[NDArray[np.int64]] = []
        self._ranks: list[NDArray[np.int64]] = []
        self._drawn_pieces = np.zeros((len(self.names), len(self.lengths)), dtype=np.int64)

    def length_at(self, step: int) -> int:
        """Tokens in a sequence of a step."""
        return self.lengths[self._bucket_at(step)]

    def batch(self, step: int) -> NDArray[np.int64]:
        """Sequences of a step, ``[batch_tokens / length, length + 1]``."""
        self._extend(step + 1)
        bucket = self._bucket_at(step)
        return np.stack(
            [
                self._sources[source].piece(bucket, int(rank))
                for source, rank in zip(self._choices[step], self._ranks[step], strict=True)
            ]
        )

    def sources_of(self, step: int) -> list[str]:
        """The source of each sequence of a step."""
        self._extend(step + 1)
        return [self.names[choice] for choice in self._choices[step]]

    def epochs(self, steps: int) -> dict[str, float]:
        """Passes over each source: tokens drawn over tokens there are."""
        drawn = self._tokens_drawn(steps)
        return {
            name: float(count / len(source.tokens))
            for name, count, source in zip(self.names, drawn, self._sources, strict=True)
        }

    def flops(self, steps: int) -> float:
        """Training FLOPs, each step at its own length."""
        shape = self.recipe.shape
        costs = [replace(shape, seq_len=length).train_flops_per_token for length in self.lengths]
        counts = np.bincount([self._bucket_at(step) for step in range(steps)], minlength=len(costs))
        return float(self.recipe.batch_tokens * np.dot(counts, costs))

    def unused(self) -> dict[str, float]:
        """Share of each source in pieces too short to read."""
        return {
            name: 1 - source.used / len(source.tokens)
            for name, source in zip(self.names, self._sources, strict=True)
        }

    def _tokens_drawn(self, steps: int) -> NDArray[np.int64]:
        self._extend(steps)
        drawn = np.zeros(len(self.names), dtype=np.int64)
        for step in range(steps):
            counts = np.bincount(self._choices[step], minlength=len(self.names))
            drawn += counts * self.length_at(step)
        return drawn

    def _bucket_at(self, step: int) -> int:
        while step >= len(self._buckets):
            cycle = len(self._buckets) // self._cycle_steps
            self._buckets = np.concatenate([self._buckets, self._order_of(cycle)])
        return int(self._buckets[step])

    def _order_of(self, cycle: int) -> NDArray[np.int64]:
        """Buckets of a cycle's steps: as many of each as fall due, drawn by the curriculum."""
        due = np.zeros(len(self.lengths), dtype=np.int64)
        done = cycle * self._cycle_steps
        for n in range(done, done + self._cycle_steps):
            bucket = int(np.argmax(self._bucket_shares * (n + 1) - self._bucket_drawn))
            self._bucket_drawn[bucket] += 1
            due[bucket] += 1
        odds = bucket_odds(self.recipe.packing.curriculum, len(self.lengths))
        generator = np.random.default_rng([self.recipe.seed, name_key("curriculum"), cycle])
        order = np.empty(self._cycle_steps, dtype=np.int64)
        for place in range(self._cycle_steps):
            chances = due * odds
            order[place] = generator.choice(len(due), p=chances / chances.sum())
            due[order[place]] -= 1
        return order

    def _extend(self, steps: int) -> None:
        """Decide which source and piece each sequence of the first ``steps`` steps is."""
        lengths = np.array(self.lengths)
        while len(self._choices) < steps:
            bucket = self._bucket_at(len(self._choices))
            count = self.recipe.batch_tokens // self.lengths[bucket]
            has = np.array([source.count(bucket) > 0 for source in self._sources])
            choices, ranks = np.empty(count, np.int64), np.empty(count, np.int64)
            tokens = (self._drawn_pieces * lengths).sum(1)
            for place in range(count):
                behind = self._weights * (tokens.sum() + lengths[bucket]) - tokens
                source = int(np.argmax(np.where(has, behind, -np.inf)))
                choices[place], ranks[place] = source, self._drawn_pieces[source, bucket]
                self._drawn_pieces[source, bucket] += 1
                tokens[source] += lengths[bucket]
            self._choices.append(choices)
            self._ranks.append(ranks)


class _Pieces:
    """The pieces of one source's documents, by length, epoch after epoch."""

    def __init__(self, name: str, tokens: TokenSet, lengths: list[int], seed: int) -> None:
        self.tokens, self.lengths = tokens, lengths
        self._starts = cut_documents(tokens.document_ends, lengths)
        counts = np.array([len(starts) for starts in self._starts])
        self.tokens_by_length = counts * np.array(lengths)
        self.used = int(self.tokens_by_length.sum())
        if not self.used:
            raise InputError(
                f"no document of {name!r} has {lengths[0]} tokens, the shortest length; "
                f"lower packing.shortest",
                column="packing.shortest",
            )
        self._key = [seed, name_key(name)]
        self._order = lru_cache(maxsize=2 * len(lengths))(self._draw_order)

    def count(self, bucket: int) -> int:
        return len(self._starts[bucket])

    def piece(self, bucket: int, rank: int) -> NDArray[np.int64]:
        """Ids of a piece and, before them, the token its first is predicted from."""
        epoch, place = divmod(rank, self.count(bucket))
        start = int(self._starts[bucket][self._order(bucket, epoch)[place]])
        if start == 0:  # the set's first document has no end-of-text before it
            rest = self.tokens.read(0, self.lengths[bucket])
            return np.concatenate(([self.tokens.manifest.end_of_text], rest))
        return self.tokens.read(start - 1, self.lengths[bucket] + 1)

    def _draw_order(self, bucket: int, epoch: int) -> NDArray[np.int64]:
        generator = np.random.default_rng([*self._key, bucket, epoch])
        return generator.permutation(self.count(bucket))


def bucket_lengths(packing: Packing, seq_len: int) -> list[int]:
    """Powers of two from the shortest up to the sequence length, ascending.

    Raises:
        InputError: there is none.

    >>> bucket_lengths(Packing(name="buckets", cycle_tokens=1, shortest=20), 256)
    [32, 64, 128, 256]
    """
    lengths = [2**k for k in range(32) if packing.shortest <= 2**k <= seq_len]
    if not lengths:
        raise InputError(
            f"no power of two lies between {packing.shortest} and the sequence length {seq_len}",
            column="packing.shortest",
        )
    return lengths


def bucket_odds(curriculum: str, count: int) -> NDArray[np.float64]:
    """Odds of each batch left in the cycle, by its bucket, shortest first.

    >>> bucket_odds("grow-p2", 3).tolist()
    [4.0, 2.0, 1.0]
    """
    place = np.arange(count, dtype=np.float64)
    return {
        "natural": np.ones(count),
        "grow-linear": count - place,
        "grow-p2": 2.0 ** (count - 1 - place),
        "grow-p100": 100.0 ** (count - 1 - place),
        "shrink-p100": 100.0**place,
    }[curriculum]


def cut_documents(ends: NDArray[np.int64], lengths: list[int]) -> list[NDArray[np.int64]]:
    """Where the pieces of each length begin, in the order of the documents.

    Args:
        ends: position after each document, ``[documents]``.
        lengths: powers of two, ascending.

    >>> [starts.tolist() for starts in cut_documents(np.array([11, 14]), [2, 4])]
    [[8, 11], [0, 4]]
    """
    begins = np.concatenate(([0], ends[:-1]))
    longest = lengths[-1]
    whole, rest = np.divmod(ends - begins, longest)
    repeated = np.repeat(begins, whole)
    turn = np.arange(len(repeated)) - np.repeat(np.cumsum(whole) - whole, whole)
    pieces = [repeated + turn * longest]
    position = begins + whole * longest
    for length in reversed(lengths[:-1]):
        has = (rest & length) > 0
        pieces.append(position[has])
        position = position + has * length
    return pieces[::-1]
