"""Why a document was or was not chosen: its score, its rank and the cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from leadsman.corpus import Corpus
from leadsman.corpus.dedup.explain import position
from leadsman.errors import InputError
from leadsman.select.policy import Policy, choose
from leadsman.select.scores import read_scores
from leadsman.select.selection import Selection
from leadsman.select.tokens import TokenRate


def explain_choice(raw: Corpus, selection: Selection, document: str) -> dict[str, Any]:
    """How a document fared in a selection from ``raw``.

    Returns:
        ``id, kept, source, score, rank`` (1 is the highest score), ``of`` (documents), ``key``
        (what was compared: the score, with noise if the policy draws) and ``cut`` (lowest key
        chosen), and ``reason`` if the selector gives one.

    Raises:
        InputError: there is no such document, or ``raw`` is not what was selected from.
    """
    number = position(raw, document)
    if number is None:
        raise InputError(f"no document has the id {document!r}", file=raw.location)
    scores = read_scores(raw, selection.scores_key)
    sources = scores.sources.to_numpy()
    rate = TokenRate(**selection.token_rate) if selection.token_rate else None
    choice = choose(
        scores.values,
        scores.text_bytes,
        Policy(**selection.policy),
        tokens=rate.of(scores.text_bytes, sources) if rate else None,
        sources=sources,
        seed=selection.seed,
    )
    why = {} if scores.reasons is None else {"reason": scores.reasons[number]}
    return {
        "id": document,
        "kept": bool(choice.kept[number]),
        "source": scores.sources[number],
        "score": float(scores.values[number]),
        "rank": int((scores.values > scores.values[number]).sum()) + 1,
        "of": len(scores.values),
        "key": float(choice.keys[number]),
        "cut": float(np.min(choice.keys[choice.kept])),
        **why,
    }
