"""Sources of a feed: their identity, and what must hold before a run reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from leadsman.errors import InputError
from leadsman.runs import Mixture
from leadsman.train.tokens import TokenSet


def data_id(sources: Mapping[str, TokenSet]) -> str:
    """Identity of tokenised sources, for ``Recipe.data``: a hash of their names and tokens."""
    plain = {name: tokens.manifest.hash for name, tokens in sources.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def checked_source(
    sources: Mapping[str, TokenSet], name: str, mixture: Mixture, *, vocab_size: int
) -> TokenSet:
    """The token set of a source a mixture draws from.

    Raises:
        InputError: there is none of that name, or its ids do not fit the model's vocabulary.
    """
    if name not in sources:
        raise InputError(
            f"mixture {mixture.name!r} draws from {name!r}, which has no tokens; "
            f"there are {', '.join(sorted(sources))}",
            column="mixture",
        )
    tokens = sources[name]
    if tokens.manifest.vocab_size > vocab_size:
        raise InputError(
            f"tokens of {name!r} come from a vocabulary of {tokens.manifest.vocab_size}, "
            f"the model's has {vocab_size}; they must be the same",
            column="vocab_size",
        )
    return tokens


def name_key(name: str) -> int:
    """A number for a source's name, to seed its order with: the same in every mixture."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
