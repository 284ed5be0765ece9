"""The batches of a recipe by step, however its documents are packed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from leadsman.errors import InputError
from leadsman.runs import Recipe
from leadsman.train.feed.buckets import BucketFeed
from leadsman.train.feed.stream import Feed
from leadsman.train.tokens import TokenSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RecipeFeed(Protocol):
    """Training data of one recipe.

    Attributes:
        separator: token that attention must not cross; ``None`` where it sees the whole sequence.
    """

    @property
    def separator(self) -> int | None:
        """Token that attention must not cross."""
        ...

    def batch(self, step: int) -> NDArray[np.int64]:
        """Sequences of a step (the first is 0), ``[sequences, length + 1]``."""
        ...

    def sources_of(self, step: int) -> list[str]:
        """The source of each sequence of a step."""
        ...

    def epochs(self, steps: int) -> dict[str, float]:
        """Passes over each source after that many steps (tokens drawn / tokens there are)."""
        ...

    def flops(self, steps: int) -> float:
        """Training FLOPs of that many steps, at the lengths that were read."""
        ...

    def unused(self) -> dict[str, float]:
        """Share of each source that no epoch reads."""
        ...


def open_feed(recipe: Recipe, sources: Mapping[str, TokenSet]) -> RecipeFeed:
    """The feed of a recipe.

    Raises:
        InputError: the mixture names a source that is not there or too short, or its tokens do
            not fit the vocabulary.
    """
    return (
        BucketFeed(recipe, sources)
        if recipe.packing.name == "buckets"
        else WindowFeed(recipe, sources)
    )


class WindowFeed:
    """Windows of ``seq_len`` tokens; see :class:`RecipeFeed`."""

    def __init__(self, recipe: Recipe, sources: Mapping[str, TokenSet]) -> None:
        self.recipe = recipe
        self.order = Feed(
            sources,
            recipe.mixture,
            seq_len=recipe.shape.seq_len,
            vocab_size=recipe.shape.vocab_size,
            seed=recipe.seed,
        )
        self.separator = None
        if recipe.packing.name == "documents":
            self.separator = end_of_text(sources, self.order.names)

    def batch(self, step: int) -> NDArray[np.int64]:
        """Sequences of a step, ``[sequences, seq_len + 1]``."""
        return self.order.sequences(*self._numbers(step))

    def sources_of(self, step: int) -> list[str]:
        """The source of each sequence of a step."""
        return self.order.sources_of(*self._numbers(step))

    def _numbers(self, step: int) -> tuple[int, int]:
        """The first sequence of a step, and how many it has."""
        batches, seq_len = self.recipe.batches, self.recipe.shape.seq_len
        return batches.tokens_at(step) // seq_len, batches.batch_at(step) // seq_len

    def epochs(self, steps: int) -> dict[str, float]:
        """Passes over each source."""
        tokens = self.recipe.batches.tokens_at(steps)
        return self.order.epochs(tokens // self.recipe.shape.seq_len)

    def flops(self, steps: int) -> float:
        """Training FLOPs."""
        return self.recipe.batches.tokens_at(steps) * self.recipe.shape.train_flops_per_token

    def unused(self) -> dict[str, float]:
        """Nothing: every epoch begins elsewhere, so each token comes up."""
        return {}


def end_of_text(sources: Mapping[str, TokenSet], names: list[str]) -> int:
    """The id that ends a document, the same in all sources.

    Raises:
        InputError: the sources differ.
    """
    found = {sources[name].manifest.end_of_text for name in names}
    if len(found) != 1:
        raise InputError(
            f"the sources end their documents with different tokens ({sorted(found)}); "
            f"tokenise all with one tokenizer",
            column="sources",
        )
    return found.pop()
