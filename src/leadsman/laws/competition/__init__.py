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
from leadsman.laws.competition.sharing import Sharing
from leadsman.laws.competition.weights import law_weights, says

__all__ = [
    "CHECKPOINT_ROWS",
    "INPUTS",
    "Block",
    "Candidate",
    "Evidence",
    "RunTable",
    "Sharing",
    "competing",
    "compute_of",
    "gather",
    "law_weights",
    "run_column",
    "says",
    "tied",
    "varying",
]
