"""From a project's sources and target to token sets and mixtures.

prepare    read, drop duplicates, drop what the target holds too
choose     documents that look like the target
tokens     a BPE trained on the sources; token sets for training and evaluation
mixtures   natural, uniform, selected, as shares of token sets
"""

from leadsman.plan.data.choose import choose_documents, new_selector, selected_sets
from leadsman.plan.data.mixtures import full_tokens, mixtures, readable_tokens, shares_by_source
from leadsman.plan.data.prepare import input_files, prepare
from leadsman.plan.data.tokens import (
    HELD_OUT,
    held_out_directories,
    token_directories,
    tokenise,
)

__all__ = [
    "HELD_OUT",
    "choose_documents",
    "full_tokens",
    "held_out_directories",
    "input_files",
    "mixtures",
    "new_selector",
    "prepare",
    "readable_tokens",
    "selected_sets",
    "shares_by_source",
    "token_directories",
    "tokenise",
]
