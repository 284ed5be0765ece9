"""Loss in size, data and the mixture trained on.

    offset:   L = E + exp(m + sum_j t_j r_j) + A / N^alpha + B / D^beta
    factor:   L = (E + A / N^alpha + B / D^beta) * exp(sum_j t_j r_j)

r_j are the proportions of the sources (``mix.SOURCE``), in [0, 1] and adding up to one: the last
source has t = 0, the others are against it. Adding a mixture's own term to Chinchilla's law follows
Shukor et al. 2025, "Scaling Laws for Optimal Data Mixtures" (their additive law); the term here is
the exponential of Ye et al. 2024, "Data Mixing Laws", which also holds where a share is zero. N
``params``, D ``tokens``, or one of them or ``flops`` alone; L nats per token or bits per byte.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import polars as pl

from leadsman.errors import DesignError, MethodError
from leadsman.laws.base import Floats
from leadsman.laws.fitting.fitted_power_sum import FittedPowerSum
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.laws.methods.exponential_mixing import mixture
from leadsman.laws.table import SAME_SHARE, columns, mixture_columns
from leadsman.methods import Paper

Coupling = Literal["offset", "factor"]

TERMS = {"params": ("A", "alpha"), "tokens": ("B", "beta"), "flops": ("C", "gamma")}
"""Amplitude and exponent of each input."""

STEEPEST = 8.0
"""Largest |t|: from none to all of a source, a term changes by less than exp(8)."""


class MixtureScaling(PowerSumLaw):
    """Loss as Chinchilla's law with a term, or a factor, of the mixture.

    Args:
        coupling: ``offset`` if the mixture adds a term of its own, ``factor`` if it scales all.
        x: inputs beside the mixture: ``params`` and ``tokens``, or one input.
        delta, priors, bounds: as in :class:`~leadsman.laws.fitting.power_sum.PowerSumLaw`.

    Columns: ``mix.SOURCE``, one for each source; rows add up to one.

    Raises:
        InputError: no mixture columns, or a row that does not add up to one.
        DesignError: shares that change only together, or fewer runs than parameters.
        MethodError: a coupling or an input that is not known.
    """

    name = "mixture-scaling"
    paper = Paper("Scaling Laws for Optimal Data Mixtures", 2025)
    shareable = False
    sources_: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        coupling: Coupling = "offset",
        x: Sequence[str] = ("params", "tokens"),
        delta: float = 1e-3,
        priors: Mapping[str, tuple[float, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if coupling not in get_args(Coupling):
            raise MethodError(f"mixture-scaling: coupling is offset or factor, not {coupling!r}")
        if not x or not set(x) <= set(TERMS):
            raise MethodError(
                f"mixture-scaling: x is one or more of {', '.join(TERMS)}, not {list(x)}"
            )
        self.coupling = coupling
        self.x = x
        self.inputs = tuple(x)
        own = () if coupling == "factor" else ("M",)
        self.terms = ("E", *own, *(TERMS[name][0] for name in x))
        self.exponents = self.of_sources(()).exponents
        super().__init__(delta=delta, priors=priors, bounds=bounds)

    def reads(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The inputs and the shares."""
        return (*self.inputs, *mixture_columns(frame))

    def of_sources(self, names: Sequence[str]) -> MixtureScaling:
        """The law with its terms for these sources (``mix.SOURCE``); a fit takes the runs'."""
        law = copy.copy(self)
        law.sources_ = tuple(names)
        shares = [f"t.{name.removeprefix('mix.')}" for name in law.sources_[:-1]]
        law.exponents = (
            *(Exponent(TERMS[name][1]) for name in self.inputs),
            *(Exponent(each, -STEEPEST, STEEPEST, (0.0,), told=False) for each in shares),
        )
        return law

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
        off_grid: bool = True,
    ) -> FittedPowerSum:
        """Fit on runs that differ in their mixtures; sources are the ``mix.*`` columns."""
        law = self.of_sources(mixture_columns(runs))
        _check_mixtures(mixture(runs, law.sources_))
        return super(MixtureScaling, law).fit(
            runs, y=y, weights=weights, seed=seed, off_grid=off_grid
        )

    def read(self, frame: pl.DataFrame) -> dict[str, Floats]:
        """Inputs, and the share of each source."""
        return columns(frame, self.inputs) | mixture(frame, self.sources_)

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log of each input in its own term, shares in the mixture's or in all."""
        count, inputs = len(self.inputs), [x[name] for name in self.inputs]
        features = np.zeros((len(inputs[0]), len(self.terms), len(self.exponents)))
        first = len(self.terms) - count
        for k, values in enumerate(inputs):
            features[:, first + k, k] = -np.log(values)
        shares = np.stack([x[name] for name in self.sources_[:-1]], axis=1)
        if self.coupling == "offset":
            features[:, 1, count:] = shares
        else:
            features[:, :, count:] = shares[:, None, :]
        return features


def _check_mixtures(shares: Mapping[str, Floats]) -> None:
    """Refuse runs whose shares do not vary, or vary only together.

    Raises:
        DesignError: names the sources.
    """
    names = list(shares)
    if len(names) < 2:
        raise DesignError("mixture-scaling: one source alone is no mixture")
    values = np.stack([shares[name] for name in names], axis=1)
    spread = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    spread = np.pad(spread, (0, max(len(names) - len(spread), 0))) / np.sqrt(len(values))
    # They add up to one, so that one direction never varies.
    if spread[len(names) - 2] < SAME_SHARE:
        raise DesignError(
            f"mixture-scaling: the shares of {', '.join(names)} change only together in these "
            f"runs, so their effects cannot be told apart; add runs on other mixtures"
        )
