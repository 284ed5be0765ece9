"""Laws compete on the user's own runs: candidates, rolling origin, weights."""

from leadsman.laws.competition.candidates import Candidate, competing, compute_of, varying
from leadsman.laws.competition.evidence import Block, Evidence, gather
from leadsman.laws.competition.weights import law_weights

__all__ = [
    "Block",
    "Candidate",
    "Evidence",
    "competing",
    "compute_of",
    "gather",
    "law_weights",
    "varying",
]
