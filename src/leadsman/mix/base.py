"""The one shape of a mixer: ``fit(problem) -> Mixture``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from leadsman.methods import Kind, Method
from leadsman.mix.problem import MixingProblem
from leadsman.runs import Mixture


class Mixer(Method, ABC):
    """Says in which proportions to draw the sources."""

    kind: ClassVar[Kind] = "mixer"

    @abstractmethod
    def fit(self, problem: MixingProblem, *, seed: int = 0) -> Mixture:
        """Shares of all sources, none above what ``problem.most`` allows, named after the method.

        Args:
            problem: sources, target, what each source can give, and proxies to ask.
            seed: of all draws.
        """

    def cheap_runs(self, sources: int) -> int:
        """How many cheap runs :meth:`fit` asks for with so many sources."""
        return 0
