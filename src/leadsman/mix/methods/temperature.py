"""Proportions by size, flattened by a temperature.

    w_s = size_s^(1/T) / sum

T = 1 draws every source by its size, larger T more evenly. Devlin's exponent for multilingual
BERT (2018), T = 1/0.7; Arivazhagan et al., "Massively Multilingual Neural Machine Translation in
the Wild" (2019), T = 5. It does not look at the target: the rule to beat.
"""

from __future__ import annotations

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.mix.base import Mixer
from leadsman.mix.problem import MixingProblem
from leadsman.runs import Mixture


class Temperature(Mixer):
    """Proportions by size, flattened.

    Args:
        temperature: 1 keeps the sizes' proportions; large values draw all sources alike.

    Raises:
        MethodError: a temperature that is not above zero.
    """

    name = "temperature"
    paper = Paper("Massively Multilingual Neural Machine Translation in the Wild", 2019, None)

    def __init__(self, temperature: float = 1.0) -> None:
        if not 0 < temperature < float("inf"):
            raise MethodError(f"temperature: temperature must be above zero, not {temperature}")
        self.temperature = temperature

    def fit(self, problem: MixingProblem, *, seed: int = 0) -> Mixture:
        """See :class:`~leadsman.mix.base.Mixer`; target and seed have no effect."""
        return problem.mixture(self.name, problem.natural ** (1 / self.temperature))
