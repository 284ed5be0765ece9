"""Choosing among settings under uncertainty: space, belief, constraints, optimiser, next runs."""

from leadsman.plan.decision.belief import Belief, BeliefOfRuns
from leadsman.plan.decision.constraints import Constraint, feasible_or_explain
from leadsman.plan.decision.optimise import Decision, Objective, optimise
from leadsman.plan.decision.space import Dimension, Space

__all__ = [
    "Belief",
    "BeliefOfRuns",
    "Constraint",
    "Decision",
    "Dimension",
    "Objective",
    "Space",
    "feasible_or_explain",
    "optimise",
]
