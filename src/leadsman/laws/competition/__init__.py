"""Laws compete on the user's own runs: candidates, rolling origin, weights."""

from leadsman.laws.competition.candidates import (
    CHECKPOINT_ROWS,
    INPUTS,
    Candidate,
    competing,
    tied,
    varying,
)
from leadsman.laws.competition.evidence import Block, Evidence, gather
from leadsman.laws.competition.run_table import RunTable, compute_of, run_column
from leadsman.laws.competition.shared_fits import SharedFits
from leadsman.laws.competition.weights import law_weights, relative_errors

__all__ = [
    "CHECKPOINT_ROWS",
    "INPUTS",
    "Block",
    "Candidate",
    "Evidence",
    "RunTable",
    "SharedFits",
    "competing",
    "compute_of",
    "gather",
    "law_weights",
    "relative_errors",
    "run_column",
    "tied",
    "varying",
]
