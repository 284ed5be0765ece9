"""What may be chosen: numbers in a range, names from a list, shares of a mixture.

A point of the space is a row of a table, with the columns laws read (``params``, ``tokens``,
``lr``, ``mix.SOURCE``, ...). The optimiser moves in the unit cube of the numeric dimensions; each
combination of names is a branch of its own. Columns ``mix.*`` are scaled to sum to one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from leadsman.errors import InputError
from leadsman.strict_yaml import Strict

Floats = npt.NDArray[np.float64]

Worlds = slice | npt.NDArray[np.int64]
"""Some of the worlds of a belief, by place."""


class Dimension(Strict):
    """A range (``low``, ``high``), a list (``choices``), or one value (``fixed``)."""

    low: float | None = None
    high: float | None = None
    scale: Literal["log", "linear"] = "log"
    step: float | None = Field(None, gt=0, description="values are multiples of it")
    choices: tuple[str, ...] | None = Field(None, min_length=1)
    fixed: float | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Dimension:
        ranged = self.low is not None and self.high is not None
        if ranged + (self.choices is not None) + (self.fixed is not None) != 1:
            raise ValueError("give low and high, or choices, or fixed")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
            if self.scale == "log" and self.low <= 0:
                raise ValueError(f"low must be above zero on a log scale, not {self.low:g}")
        return self

    def value(self, unit: Floats) -> Floats:
        """Numbers for places in [0, 1]."""
        low, high = self.low or 0.0, self.high or 0.0
        if self.scale == "log":
            return np.asarray(np.exp(np.log(low) + unit * (np.log(high) - np.log(low))))
        return np.asarray(low + unit * (high - low))

    def unit(self, value: float) -> float:
        """The place of a number, cut to [0, 1]."""
        low, high = self.low or 0.0, self.high or 0.0
        if self.scale == "log":
            place = (np.log(value) - np.log(low)) / (np.log(high) - np.log(low))
        else:
            place = (value - low) / (high - low)
        return float(np.clip(place, 0.0, 1.0))


@dataclass(frozen=True)
class Space:
    """Dimensions by name.

    Raises:
        InputError: there is nothing to choose.

    >>> import numpy as np
    >>> steps = Dimension(low=0, high=8, scale="linear")
    >>> space = Space({"depth": steps, "data": Dimension(choices=("a",))})
    >>> space.frame(np.array([[0.5]]), {"data": "a"}).row(0)
    (4.0, 'a')
    """

    dimensions: Mapping[str, Dimension]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise InputError("there is nothing to choose: no dimension", column="space")

    @property
    def numeric(self) -> list[str]:
        """Dimensions with a range."""
        return [name for name, each in self.dimensions.items() if each.low is not None]

    def branches(self) -> list[dict[str, str]]:
        """Every combination of names."""
        listed = {n: d.choices for n, d in self.dimensions.items() if d.choices is not None}
        return [
            dict(zip(listed, pick, strict=True)) for pick in itertools.product(*listed.values())
        ]

    def frame(self, units: Floats, branch: Mapping[str, str]) -> pl.DataFrame:
        """Points as a table, n rows, from places in the unit cube, shape (n, numeric)."""
        columns: dict[str, Any] = {}
        for k, name in enumerate(self.numeric):
            columns[name] = self.dimensions[name].value(units[:, k])
        for name, each in self.dimensions.items():
            if each.fixed is not None:
                columns[name] = np.full(len(units), each.fixed)
        shares = [name for name in columns if name.startswith("mix.")]
        if shares:
            total = np.maximum(sum(columns[name] for name in shares), 1e-12)
            columns |= {name: columns[name] / total for name in shares}
        for name, picked in branch.items():
            columns[name] = np.full(len(units), picked)
        return pl.DataFrame(columns)

    def units(self, point: Mapping[str, Any]) -> Floats:
        """The place of a point in the unit cube, shape (numeric,)."""
        return np.array([self.dimensions[n].unit(float(point[n])) for n in self.numeric])

    def fix(self, values: Mapping[str, float]) -> Space:
        """The same space with some dimensions held at a value."""
        held = {name: Dimension(fixed=value) for name, value in values.items()}
        return Space({name: held.get(name, each) for name, each in self.dimensions.items()})


def at_share(points: pl.DataFrame, share: float | pl.Series) -> pl.DataFrame:
    """Points with a share of their tokens, so of their compute: laws may read either.

    >>> at_share(pl.DataFrame({"tokens": [4.0], "flops": [8.0]}), 0.5).row(0)
    (2.0, 4.0)
    """
    scaled = [name for name in ("tokens", "flops") if name in points.columns]
    return points.with_columns(pl.col(name) * share for name in scaled)
