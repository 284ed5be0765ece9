"""Corpora by their role: a source is offered for training, a target shows what is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from leadsman.corpus.corpus import Corpus
from leadsman.errors import InputError


@dataclass(frozen=True)
class Source:
    """A named corpus offered for training.

    Attributes:
        name: what people call it.
        corpus: what is revealed of it: a sample, or all.
        declared_bytes: its full size in bytes of text; 0 stands for "all is revealed".
        price: money for the whole source, if it has a price.

    Raises:
        InputError: it declares less than it reveals, or a negative price.
    """

    name: str
    corpus: Corpus
    declared_bytes: int = 0
    price: float | None = None

    def __post_init__(self) -> None:
        revealed = self.corpus.text_bytes
        if self.declared_bytes == 0:
            object.__setattr__(self, "declared_bytes", revealed)
        if self.declared_bytes < revealed:
            raise InputError(
                f"source {self.name!r} declares {self.declared_bytes} bytes but "
                f"{revealed} are readable; declare the full size",
                column="declared_bytes",
            )
        if self.price is not None and not self.price >= 0:
            raise InputError(f"must be zero or more, not {self.price}", column="price")

    @property
    def revealed_fraction(self) -> float:
        """Share of the source that can be read, in (0, 1]."""
        return self.corpus.text_bytes / self.declared_bytes if self.declared_bytes else 1.0


@dataclass(frozen=True)
class Target:
    """Documents that say what "good" means.

    Attributes:
        name: what people call it.
        corpus: the documents.
    """

    name: str
    corpus: Corpus
