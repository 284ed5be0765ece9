"""What a law of one equation says, before anything is fitted; :mod:`.parametric` fits it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.errors import MethodError
from leadsman.laws.base import Floats, Law
from leadsman.laws.table import columns

SMALLEST = 1e-300
"""Smallest loss; below it a logarithm would be infinite."""


@dataclass(frozen=True)
class Parameter:
    """One number to be learned.

    Attributes:
        name: as in the equation.
        lower: smallest value allowed.
        upper: largest value allowed.
        positive: searched on a log scale; bounds are then on the value, not its log.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf
    positive: bool = False

    def box(self) -> tuple[float, float]:
        """Bounds in the search coordinate."""
        if not self.positive:
            return self.lower, self.upper
        lower = np.log(self.lower) if self.lower > 0 else -np.inf
        return float(lower), float(np.log(self.upper))


def held(terms: Sequence[Parameter], known: Mapping[str, float | None]) -> tuple[Parameter, ...]:
    """The terms, those with a value in ``known`` held at it and not learned."""
    values = {name: value for name, value in known.items() if value is not None}
    return tuple(
        Parameter(term.name, values[term.name], values[term.name]) if term.name in values else term
        for term in terms
    )


def check_chance(chance: float | None, top: float | None = None) -> None:
    """Refuse a score of guessing, or a highest score, that cannot be.

    Raises:
        MethodError: not 0 <= ``chance`` < ``top`` <= 1, where both are given (0 and 1 if not).
    """
    low, high = 0.0 if chance is None else chance, 1.0 if top is None else top
    if not 0 <= low < high <= 1:
        asked = f"{chance}" if top is None else f"{chance} and {top}"
        raise MethodError(f"0 <= chance < top <= 1 is needed, not {asked}")


class ParametricForm(Law):
    """The equation of a law, its parameters, and the scale on which its scatter is even.

    Attributes:
        terms: the parameters, in the order of the equation.
        delta: Huber's delta; ``None`` adapts it to the scatter.
    """

    terms: ClassVar[tuple[Parameter, ...]]
    delta: float | None = None

    @abstractmethod
    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """The law: parameters of shape (b, 1) and inputs of shape (n,) to results (b, n)."""

    @abstractmethod
    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Where to begin the search: each parameter with shape (s,), or () for all starts."""

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The law's inputs from a table, by the names the equation uses."""
        return columns(frame, self.inputs)

    def parameters_of(self, x: Mapping[str, Floats]) -> tuple[Parameter, ...]:
        """Parameters the runs can speak about; a law may drop some that they cannot."""
        return self.terms

    def link(self, values: Floats) -> Floats:
        """The scale on which scatter is even: the log of a loss, a score itself."""
        if self.output == "score":
            return values
        return np.asarray(np.log(np.maximum(values, SMALLEST)))

    def unlink(self, values: Floats) -> Floats:
        """Inverse of :meth:`link`, kept within what can be."""
        if self.output == "score":
            return np.clip(values, 0.0, 1.0)
        return np.asarray(np.exp(np.clip(values, -690.0, 700.0)))

    def scattered(self, curves: Floats, scatter: Floats) -> Floats:
        """Results around ``curves``: scatter added on the even scale. May overwrite ``scatter``."""
        if self.output == "loss" and type(self).link is ParametricForm.link:
            np.exp(np.clip(scatter, -600.0, 600.0, out=scatter), out=scatter)
            return np.asarray(np.multiply(curves, scatter, out=scatter))
        return self.unlink(self.link(curves) + scatter)
