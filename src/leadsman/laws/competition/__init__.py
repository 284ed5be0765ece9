"""Laws compete on the user's own runs: candidates, rolling origin, weights."""

from leadsman.laws.competition.candidates import (
    INPUTS,
    Candidate,
    competing,
    tied,
    varying,
)
from leadsman.laws.competition.evidence import Block, Evidence, gather
from leadsman.laws.competition.run_table import RunTable, compute_of
from leadsman.laws.competition.sharing import Sharing
from leadsman.laws.competition.weights import law_weights, says

__all__ = [
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
    "says",
    "tied",
    "varying",
]
