"""From forecasts to a decision."""

from leadsman.plan.budget import Budget
from leadsman.plan.plan import Option, Plan, Saving
from leadsman.plan.project import Project, load_project

__all__ = ["Budget", "Option", "Plan", "Project", "Saving", "load_project"]
