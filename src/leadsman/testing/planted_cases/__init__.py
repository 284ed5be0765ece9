"""Planted truths for every built-in law that has parameters: settings, parameters, scatter.

Used by the tests of recovery and of coverage; constants are the papers' where they print them.
"""

from leadsman.testing.planted_cases.case import Case
from leadsman.testing.planted_cases.equations import EQUATIONS
from leadsman.testing.planted_cases.power_sums import POWER_SUMS
from leadsman.testing.planted_cases.scores import SCORES

CASES = [*EQUATIONS, *SCORES, *POWER_SUMS]

__all__ = ["CASES", "Case"]
