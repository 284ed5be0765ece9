"""Choosing among settings under uncertainty: space, belief, constraints, optimiser, next runs."""

from leadsman.plan.decision.belief import Belief, BeliefOfRuns
from leadsman.plan.decision.constraints import Constraint, feasible_or_explain
from leadsman.plan.decision.optimise import Decision, Objective, optimise
from leadsman.plan.decision.space import Dimension, Space
from leadsman.plan.decision.ways import BeliefOfWays, Way

__all__ = [
    "Belief",
    "BeliefOfRuns",
    "BeliefOfWays",
    "Constraint",
    "Decision",
    "Dimension",
    "Objective",
    "Space",
    "Way",
    "feasible_or_explain",
    "optimise",
]
