"""Proportions under which the target is most likely: interpolation weights by EM.

    maximise  sum_j n_j log sum_s w_s p_s(j)

n_j counts the target's hashed 1- to n-grams in bucket j, p_s are the bucket frequencies of source
s. Jelinek & Mercer, "Interpolated Estimation of Markov Source Parameters from Sparse Data"
(1980). The sum is concave in w, so EM finds the best. It asks no model, only counts; it says what
the target is made of, not what teaches it best.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leadsman.corpus.ngrams.counts import hashed_counts, smoothed, source_counts
from leadsman.errors import InputError, MethodError
from leadsman.methods import Paper
from leadsman.mix.base import Mixer
from leadsman.mix.problem import MixingProblem
from leadsman.runs import Mixture

Floats = npt.NDArray[np.float64]


class TargetLikelihood(Mixer):
    """The mixture of source n-gram distributions under which the target is most likely.

    Args:
        n: longest n-gram.
        buckets: hash buckets.
        rounds: most rounds of EM.
        smoothing: probability added to each bucket of a source.

    Raises:
        MethodError: a hyperparameter that cannot be.
    """

    name = "target-likelihood"
    paper = Paper(
        "Interpolated Estimation of Markov Source Parameters from Sparse Data", 1980, None
    )

    def __init__(
        self, n: int = 2, buckets: int = 10_000, *, rounds: int = 1000, smoothing: float = 1e-6
    ) -> None:
        for name, value in (("n", n), ("buckets", buckets), ("rounds", rounds)):
            if value < 1:
                raise MethodError(f"target-likelihood: {name} must be at least 1, not {value}")
        if not 0 < smoothing < 1:
            raise MethodError(
                f"target-likelihood: smoothing must lie between 0 and 1, not {smoothing}"
            )
        self.n = n
        self.buckets = buckets
        self.rounds = rounds
        self.smoothing = smoothing

    def fit(self, problem: MixingProblem, *, seed: int = 0) -> Mixture:
        """See :class:`~leadsman.mix.base.Mixer`; ``seed`` has no effect.

        Raises:
            InputError: the target holds no words.
        """
        wanted = hashed_counts(problem.target, n=self.n, buckets=self.buckets)
        if not wanted.any():
            raise InputError("holds no words to compare", file=problem.target.location)
        counts = source_counts(problem.sources, n=self.n, buckets=self.buckets)
        each = np.stack([smoothed(counts[name], self.smoothing) for name in problem.names])
        return problem.mixture(self.name, interpolation_weights(each, wanted, rounds=self.rounds))


def interpolation_weights(each: Floats, counts: npt.ArrayLike, *, rounds: int) -> Floats:
    """Weights of distributions under which counts are most likely, shape (k,).

    Args:
        each: distributions, shape (k, m), without zeros.
        counts: how often each of the m outcomes was seen, shape (m,).
        rounds: most rounds of EM; it ends when no weight moves by 1e-7.
    """
    seen = np.asarray(counts, float)
    seen = seen / seen.sum()
    weights = np.full(len(each), 1 / len(each))
    for _ in range(rounds):
        joint = weights[:, None] * each
        fresh = (joint / joint.sum(axis=0)) @ seen
        moved = float(np.abs(fresh - weights).max())
        weights = fresh
        if moved < 1e-7:
            break
    return weights
