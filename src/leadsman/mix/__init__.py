"""In which proportions: one file per mixer."""

from leadsman.mix.base import Mixer
from leadsman.mix.mixing import MixReport, mix
from leadsman.mix.problem import MixingProblem

__all__ = ["MixReport", "Mixer", "MixingProblem", "mix"]
