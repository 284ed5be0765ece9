"""The optimum of the exponential mixing law: fill with the best source, then the next.

    L(r) = c + exp(sum_j t_j r_j)         (:class:`leadsman.laws.methods.exponential_mixing`)

Ye et al., "Data Mixing Laws" (2024). On one target L falls with the linear sum, so the best
mixture is as much as there is of the source with the lowest t, then of the next: the law itself
puts everything into one source unless sources are small. With one target that is what it says;
it knows nothing of two sources that need each other.
"""

from __future__ import annotations

import numpy as np

from leadsman.errors import MethodError
from leadsman.laws.methods.exponential_mixing import ExponentialMixing as ExponentialMixingLaw
from leadsman.methods import Paper
from leadsman.mix.base import Mixer
from leadsman.mix.methods._runs import cheap_runs, predicted, random_mixtures
from leadsman.mix.problem import MixingProblem
from leadsman.runs import Mixture


class ExponentialMixing(Mixer):
    """The best mixture under the exponential law, within what the sources can give.

    Args:
        runs_per_source: cheap runs a source, two or more.

    Raises:
        MethodError: too few runs.
    """

    name = "exponential-mixing"
    paper = Paper(
        "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance",
        2024,
    )

    def __init__(self, runs_per_source: int = 6) -> None:
        if runs_per_source < 2:
            raise MethodError(
                f"exponential-mixing: runs_per_source must be at least 2, not {runs_per_source}"
            )
        self.runs_per_source = runs_per_source

    def fit(self, problem: MixingProblem, *, seed: int = 0) -> Mixture:
        """See :class:`~leadsman.mix.base.Mixer`."""
        count = self.cheap_runs(len(problem.names))
        runs = cheap_runs(problem, random_mixtures(problem, count, seed=seed), seed=seed)
        law = ExponentialMixingLaw().fit(runs, seed=seed)
        alone = predicted(problem, law, np.eye(len(problem.names)))
        shares = np.zeros(len(alone))
        for source in np.argsort(alone, kind="stable"):
            shares[source] = min(problem.most[source], 1 - shares.sum())
        return problem.mixture(self.name, shares)

    def cheap_runs(self, sources: int) -> int:
        """So many a source."""
        return self.runs_per_source * sources
