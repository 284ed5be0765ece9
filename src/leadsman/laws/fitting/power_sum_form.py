"""What a sum of powers says, before anything is fitted: its terms, exponents, shapes and features.

    y = (sum_j a_j * exp(features_j(x, shape) . e)) ^ power(shape)

``a_j`` amplitudes (an offset is a term whose features are all zero), ``e`` exponents, ``shape``
the few parameters that enter in no simpler way (a saturation constant, a break).
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from leadsman.laws.base import Floats, Law
from leadsman.laws.table import columns

ShapeValues = Sequence[Floats] | Sequence[float]
"""Shape parameters in their order: numbers, or arrays of shape (b, 1) for b curves at once."""


@dataclass(frozen=True)
class Exponent:
    """An exponent of a law.

    Attributes:
        name: in the equation (``alpha``).
        lower, upper: the box it is searched in.
        starts: values the search starts from.
        prior: mean and standard deviation, or ``None``.
        told: whether it is said when the runs hardly determine it.
    """

    name: str
    lower: float = 0.01
    upper: float = 2.5
    starts: tuple[float, ...] = (0.08, 0.2, 0.35, 0.55, 0.9)
    prior: tuple[float, float] | None = None
    told: bool = True


@dataclass(frozen=True)
class Shape:
    """A parameter that enters through the features; searched on a grid, then between its points.

    Attributes:
        name: in the equation.
        grid: values tried, unless the law derives them from the runs.
    """

    name: str
    grid: tuple[float, ...] = ()


class PowerSumForm(Law):
    """The equation of a law that is a sum of powers.

    Attributes:
        terms: names of the amplitudes; the offset, if any, first and called ``E``.
        exponents: the exponents.
        shapes: parameters searched on a grid.
        shareable: whether groups of runs may share its exponents.
    """

    terms: tuple[str, ...]
    exponents: tuple[Exponent, ...]
    shapes: tuple[Shape, ...] = ()
    shareable: ClassVar[bool] = True

    @abstractmethod
    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """Log features, shape (n, terms, exponents), at inputs ``x`` (each (n,)).

        Of shape (b, n, terms, exponents) where they depend on ``shape`` and it holds arrays.
        """

    def base(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats | None:
        """Known log factor of each term, shape (..., n, terms); ``None`` is zero throughout."""
        return None

    def shape_grid(self, x: Mapping[str, Floats]) -> list[tuple[float, ...]]:
        """Shape parameters tried for runs with inputs ``x``."""
        return list(itertools.product(*(shape.grid for shape in self.shapes)))

    def power(self, shape: ShapeValues) -> Floats | float:
        """The outer power."""
        return 1.0

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """The law's inputs from a table, each (n,); override for derived or optional inputs."""
        return columns(frame, self.inputs)

    def terms_at(
        self, x: Mapping[str, Floats], shape: tuple[float, ...]
    ) -> tuple[Floats, Floats, float]:
        """Features (n, J, p), base (n, J) and outer power, as the kernels take them."""
        features = np.ascontiguousarray(self.features(x, shape), dtype=np.float64)
        base = self.base(x, shape)
        known = np.zeros(features.shape[:2]) if base is None else np.ascontiguousarray(base)
        return features, known, float(self.power(shape))

    def terms_at_each(
        self, x: Mapping[str, Floats], shapes: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """As :meth:`terms_at` for every row of ``shapes`` (b, m): (b, n, J, p), (b, n, J), (b,)."""
        values = [column[:, None] for column in shapes.T]
        features, base = self.features(x, values), self.base(x, values)
        size = (len(shapes), *features.shape[-3:])
        known = np.zeros(1) if base is None else base
        return (
            np.ascontiguousarray(np.broadcast_to(features, size)),
            np.ascontiguousarray(np.broadcast_to(known, size[:-1])),
            np.ascontiguousarray(np.broadcast_to(np.ravel(self.power(values)), size[0])),
        )
