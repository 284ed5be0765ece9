"""Cheap runs on random mixtures, as the table that laws of the mixture are fitted on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.laws.base import FittedLaw
from leadsman.mix.problem import MixingProblem, fill
from leadsman.runs import Mixture

Floats = npt.NDArray[np.float64]
FLATTEN, WEAKEST, STRONGEST = 2.0, 0.1, 5.0


def random_mixtures(problem: MixingProblem, count: int, *, seed: int) -> Floats:
    """Mixtures around the natural one, from nearly pure to nearly even, shape (count, sources).

    Dirichlet draws as RegMix makes them: around sizes flattened with temperature 2, with a
    strength drawn from 0.1 to 5; cut to what the sources can give.
    """
    generator = np.random.default_rng([seed, 1])
    prior = problem.natural ** (1 / FLATTEN)
    prior = prior / prior.sum() * len(prior)
    strength = np.exp(generator.uniform(np.log(WEAKEST), np.log(STRONGEST), count))
    drawn = generator.standard_gamma(strength[:, None] * prior[None])
    # A gamma draw of so small a shape may be zero everywhere.
    drawn = np.maximum(drawn, 1e-300)
    return np.stack([fill(row, problem.most) for row in drawn])


def cheap_runs(problem: MixingProblem, shares: Floats, *, seed: int) -> pl.DataFrame:
    """One cheap run on each mixture: ``mix.SOURCE`` and ``loss`` (bits per byte)."""
    mixtures = [Mixture("trial", dict(zip(problem.names, row.tolist()))) for row in shares]
    losses = problem.losses(mixtures, [seed] * len(mixtures))
    return table(problem, shares).with_columns(loss=pl.Series(losses))


def table(problem: MixingProblem, shares: Floats) -> pl.DataFrame:
    """Mixtures as the columns that laws read."""
    return pl.DataFrame({f"mix.{name}": shares[:, i] for i, name in enumerate(problem.names)})


def predicted(problem: MixingProblem, law: FittedLaw, shares: Floats) -> Floats:
    """What a law expects of mixtures, shape (count,)."""
    return law.curve(table(problem, shares))
