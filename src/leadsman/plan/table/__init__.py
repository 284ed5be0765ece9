"""A plan from a table of runs that are already there, where a project makes its own soundings."""

from leadsman.plan.table.limits import constraints_of, training_flops
from leadsman.plan.table.plan import TablePlan, check_tokenizers, plan_table
from leadsman.plan.table.spec import MemorySpec, TableSpec

__all__ = [
    "MemorySpec",
    "TablePlan",
    "TableSpec",
    "check_tokenizers",
    "constraints_of",
    "plan_table",
    "training_flops",
]
