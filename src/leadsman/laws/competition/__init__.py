"""Laws compete on the user's own runs: candidates, rolling origin, weights."""

from leadsman.laws.competition.candidates import (
    INPUTS,
    Candidate,
    competing,
    compute_of,
    tied,
    varying,
)
from leadsman.laws.competition.evidence import Block, Evidence, gather
from leadsman.laws.competition.weights import law_weights, says

__all__ = [
    "INPUTS",
    "Block",
    "Candidate",
    "Evidence",
    "competing",
    "compute_of",
    "gather",
    "law_weights",
    "says",
    "tied",
    "varying",
]
