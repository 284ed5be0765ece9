"""From a project's sources and target to token sets and mixtures.

prepare    read, drop duplicates, drop what the target holds too
choose     documents that look like the target
tokens     a BPE trained on the sources; token sets for training and evaluation
mixtures   natural, uniform, selected, as shares of token sets
stages     all of these in order, each kept
"""

from leadsman.plan.data.choose import new_selector
from leadsman.plan.data.mixtures import full_tokens, mixtures, readable_tokens
from leadsman.plan.data.tokens import HELD_OUT, held_out_directories, token_directories

__all__ = [
    "HELD_OUT",
    "full_tokens",
    "held_out_directories",
    "mixtures",
    "new_selector",
    "readable_tokens",
    "token_directories",
]
