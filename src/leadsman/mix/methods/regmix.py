"""RegMix: many cheap runs, a regression of their loss on the mixture, and the best it foresees.

1. Train a cheap model on each of ``runs`` random mixtures; its loss on the target is the answer.
2. Fit boosted trees (:class:`leadsman.laws.methods.regmix.RegMix`) to them.
3. Foresee many more mixtures; the mean of the best ``best`` of them is the mixture.

Liu et al., "RegMix: Data Mixture as Regression for Language Model Pre-training" (2025, catalogue
197), there with 512 models of a million parameters; here with n-gram models.
"""

from __future__ import annotations

from leadsman.errors import MethodError
from leadsman.laws.methods.regmix import MINIMUM_RUNS
from leadsman.laws.methods.regmix import RegMix as RegMixLaw
from leadsman.methods import Paper
from leadsman.mix.base import Mixer
from leadsman.mix.methods._runs import cheap_runs, predicted, random_mixtures
from leadsman.mix.problem import MixingProblem
from leadsman.runs import Mixture


class RegMix(Mixer):
    """The mixture that a regression on cheap runs finds best.

    Args:
        runs: cheap runs, twenty or more.
        foreseen: mixtures to foresee.
        best: of them are averaged.

    Raises:
        MethodError: too few runs, or ``best`` is not within 1 and ``foreseen``.
    """

    name = "regmix"
    paper = Paper("RegMix: Data Mixture as Regression for Language Model Pre-training", 2025, 197)

    def __init__(self, runs: int = 64, *, foreseen: int = 20_000, best: int = 100) -> None:
        if runs < MINIMUM_RUNS:
            raise MethodError(f"regmix: runs must be at least {MINIMUM_RUNS}, not {runs}")
        if not 1 <= best <= foreseen:
            raise MethodError(f"regmix: best must be within 1 and foreseen, not {best}")
        self.runs = runs
        self.foreseen = foreseen
        self.best = best

    def fit(self, problem: MixingProblem, *, seed: int = 0) -> Mixture:
        """See :class:`~leadsman.mix.base.Mixer`."""
        runs = cheap_runs(problem, random_mixtures(problem, self.runs, seed=seed), seed=seed)
        law = RegMixLaw().fit(runs, seed=seed)
        shares = random_mixtures(problem, self.foreseen, seed=seed + 1)
        order = predicted(problem, law, shares).argsort(kind="stable")[: self.best]
        return problem.mixture(self.name, shares[order].mean(axis=0))

    def cheap_runs(self, sources: int) -> int:
        """As many as it was told."""
        return self.runs
