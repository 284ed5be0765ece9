"""Which documents: one file per selector."""

from leadsman.select.base import Selector
from leadsman.select.policy import Choice, Policy, choose
from leadsman.select.selection import Selection, select

__all__ = ["Choice", "Policy", "Selection", "Selector", "choose", "select"]
