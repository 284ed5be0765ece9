"""What text is worth that is read more than once.

Of a source of U tokens that is read p times, p > 1, the p U tokens are worth

    U (1 + R* (1 - exp(-(p - 1) / R*)))          R* in passes

fresh ones (Muennighoff et al. 2023, "Scaling Data-Constrained Language Models"): a second pass is
worth nearly a first one, and however often it is read, no more than 1 + R* passes are gained. In a
mixture each source has its own passes, so the tokens of a run are worth a share of as many fresh
ones, and the laws are asked for that many.

R* is not known before it is seen. It differs from world to world,

    log R* = centre + slope log(unique tokens / (20 params)) + spread z,     z ~ N(0, 1)

with constants that maximise the likelihood of published runs on repeated text and of small models
of our own, counted alike (benchmarks/plan/repetition_prior.py). More text for the size repeats
better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from leadsman.laws.methods.data_constrained import saturate
from leadsman.plan.decision.space import Floats, at_share

Reads = Callable[[pl.DataFrame], tuple[Floats, Floats]]
"""Of n points: the share of the tokens drawn from each of s token sets, shape (n, s), and how many
tokens each holds, shape (n, s)."""

RATIO = 20.0


@dataclass(frozen=True)
class DecayPrior:
    """How R* is spread over worlds before runs are seen.

    Attributes:
        centre: median of log R* at 20 unique tokens a parameter.
        slope: of log R* over the log of unique tokens a parameter.
        spread: standard deviation of log R* around it.
    """

    centre: float
    slope: float
    spread: float

    def constant(self, ratio: Floats, z: Floats | float) -> Floats:
        """R* at unique tokens a parameter, in worlds z standard deviations from the median."""
        return np.asarray(
            np.exp(self.centre + self.slope * np.log(ratio / RATIO) + self.spread * z)
        )


PRIOR = DecayPrior(centre=3.214, slope=0.563, spread=1.161)
"""Learned once: benchmarks/plan/results/repetition_prior.json."""


@dataclass(frozen=True)
class Repetition:
    """What the tokens of points are worth where their text repeats.

    Attributes:
        reads: what points draw, and from how much text.
        sounded: the same of the small runs, where these had less text to read; ``reads`` if none.
        prior: of R*.
        params: size of the model, where points do not tell it.
    """

    reads: Reads
    sounded: Reads | None = None
    prior: DecayPrior = PRIOR
    params: float = 1.0

    def of_runs(self) -> Repetition:
        """The same for the small runs."""
        return replace(self, reads=self.sounded or self.reads)

    def passes(self, points: pl.DataFrame) -> Floats:
        """How often each point reads each token set, shape (n, s)."""
        shares, sizes = self.reads(points)
        return np.asarray(points["tokens"].to_numpy()[:, None] * shares / sizes)

    def repeats(self, points: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether a point reads any text more than once, shape (n,)."""
        return np.asarray((self.passes(points) > 1).any(axis=1))

    def worth_of_passes(self, points: pl.DataFrame, z: Floats | float) -> Floats:
        """Fresh passes that the passes over each token set are worth, shape (..., n, s).

        Args:
            points: with tokens and params.
            z: worlds, a number or shape (w, 1, 1).
        """
        passes = np.maximum(self.passes(points), 1e-12)
        shares, _ = self.reads(points)
        tokens = points["tokens"].to_numpy()
        unique = (tokens[:, None] * shares / np.maximum(passes, 1.0)).sum(axis=1)
        params = points["params"].to_numpy() if "params" in points.columns else self.params
        ratio = unique / params
        constant = self.prior.constant(ratio[:, None], z)
        first = np.minimum(passes, 1.0)
        return first * saturate(np.ones_like(passes), np.maximum(passes, 1.0), constant)

    def worth(self, points: pl.DataFrame, z: Floats | float) -> Floats:
        """Fresh tokens that a token of each point is worth, in (0, 1], shape (..., n).

        Args:
            points: with tokens and params.
            z: worlds, a number or shape (w,).
        """
        shares, _ = self.reads(points)
        passes = np.maximum(self.passes(points), 1e-12)
        worlds = np.reshape(z, (-1, 1, 1)) if np.ndim(z) else z
        return np.asarray((shares * self.worth_of_passes(points, worlds) / passes).sum(axis=-1))

    def effective(self, points: pl.DataFrame, z: float) -> pl.DataFrame:
        """Points with as many tokens as theirs are worth in a world."""
        return at_share(points, pl.Series(self.worth(points, z)))
