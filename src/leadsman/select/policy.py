"""From scores to a choice: the one step that all selectors share.

Three rules. ``top`` keeps the highest scores. ``resample`` draws without replacement with
probability proportional to exp(score / temperature), by the Gumbel trick: the highest
score / temperature + Gumbel noise are kept. ``threshold`` keeps every score at or above a value.

How much a draw still depends on the scores is told by Kish's effective sample size of the
weights w = exp(score / temperature), (sum w)^2 / sum w^2, in documents: all of them when
temperature is high, one when it is low. At 1 a "random" draw is ``top`` in disguise; so a wanted
effective size can set the temperature, and the overlap with ``top`` is always reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from leadsman.errors import InputError

Rule = Literal["top", "resample", "threshold"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How scores become a choice.

    Exactly one of ``fraction``, ``documents``, ``text_bytes`` and ``tokens`` says how much to
    keep, except under ``threshold``, which needs none.

    Attributes:
        rule: ``top``, ``resample`` or ``threshold``.
        fraction: share of all text bytes to keep, in (0, 1].
        documents: number of documents to keep.
        text_bytes: bytes of text to keep.
        tokens: tokens to keep; what a token is, :func:`choose` is told.
        threshold: lowest score kept (any rule).
        temperature: divides the scores before a draw (``resample``).
        effective_size: wanted effective sample size in documents; sets the temperature.
        quotas: largest share of the amount for each source named, in [0, 1].

    Raises:
        InputError: a value that cannot be, or an amount given twice or not at all.
    """

    rule: Rule = "top"
    fraction: float | None = None
    documents: int | None = None
    text_bytes: int | None = None
    tokens: int | None = None
    threshold: float | None = None
    temperature: float = 1.0
    effective_size: float | None = None
    quotas: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rule not in ("top", "resample", "threshold"):
            raise InputError(
                f"must be top, resample or threshold, not {self.rule!r}", column="rule"
            )
        names = ("fraction", "documents", "text_bytes", "tokens")
        amounts = {name: getattr(self, name) for name in names}
        given = {name: value for name, value in amounts.items() if value is not None}
        if len(given) > 1 or (not given and self.rule != "threshold"):
            raise InputError(
                f"give exactly one of fraction, documents, text_bytes and tokens, not {len(given)}",
                column="policy",
            )
        for name, value in given.items():
            if not value > 0 or (name == "fraction" and value > 1):
                limit = "in (0, 1]" if name == "fraction" else "above zero"
                raise InputError(f"must be {limit}, not {value}", column=name)
        if self.rule == "threshold" and self.threshold is None:
            raise InputError("the rule 'threshold' needs one", column="threshold")
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"must be above zero, not {self.temperature}", column="temperature")
        if self.effective_size is not None and not self.effective_size >= 1:
            raise InputError(
                f"must be at least one document, not {self.effective_size}",
                column="effective_size",
            )
        for source, share in self.quotas.items():
            if not 0 <= share <= 1:
                raise InputError(
                    f"share of {source!r} must be in [0, 1], not {share}", column="quotas"
                )


@dataclass(frozen=True)
class Choice:
    """What a policy kept, and how much chance had to do with it.

    Attributes:
        kept: bool, shape (n,).
        temperature: the one used (1 unless the rule is ``resample``).
        effective_size: of the weights over all documents at that temperature, in documents.
        overlap_with_top: share of the kept documents that ``top`` would have kept too.
        cut: lowest key kept; a key is the score, plus noise under ``resample``.
        keys: what documents were ordered by, shape (n,).
    """

    kept: npt.NDArray[np.bool_]
    temperature: float
    effective_size: float
    overlap_with_top: float
    cut: float
    keys: Floats


def choose(
    scores: npt.NDArray[np.floating[Any]],
    text_bytes: npt.NDArray[np.int64],
    policy: Policy,
    *,
    tokens: npt.NDArray[np.int64] | None = None,
    sources: Sequence[str] | npt.NDArray[Any] | None = None,
    seed: int = 0,
) -> Choice:
    """Apply a policy.

    Args:
        scores: one a document, higher is better, shape (n,); minus infinity is never kept.
        text_bytes: size of each document, shape (n,).
        policy: what to do.
        tokens: of each document, shape (n,); needed for an amount in tokens.
        sources: source of each document, shape (n,); needed for quotas.
        seed: of the noise under ``resample``.

    Raises:
        InputError: a score that is not a number, a quota for a source that is not there, or
            nothing left to keep.

    >>> scores = np.array([3.0, 1.0, 2.0])
    >>> choose(scores, np.array([10, 10, 10]), Policy(documents=2)).kept.tolist()
    [True, False, True]
    """
    values = np.asarray(scores, np.float64)
    if np.isnan(values).any() or np.isposinf(values).any():
        raise InputError(
            f"document {int(np.argmax(~(values < np.inf)))} has no finite score", column="scores"
        )
    temperature = policy.temperature if policy.rule == "resample" else 1.0
    if policy.rule == "resample" and policy.effective_size is not None:
        temperature = temperature_for(values, policy.effective_size)
    keys = values
    if policy.rule == "resample":
        noise = np.random.default_rng(seed).gumbel(size=len(values))
        keys = values / temperature + noise
    if policy.tokens is not None and tokens is None:
        raise InputError("needs the tokens of each document", column="tokens")
    sizes = text_bytes
    if policy.documents is not None:
        sizes = np.ones(len(values), np.int64)
    elif policy.tokens is not None and tokens is not None:
        sizes = tokens
    kept = _take(keys, values, sizes, policy, sources)
    if not kept.any():
        raise InputError("no document passes; lower the threshold or raise the amount")
    top = kept if keys is values else _take(values, values, sizes, policy, sources)
    return Choice(
        kept=kept,
        temperature=temperature,
        effective_size=effective_size(values / temperature),
        overlap_with_top=float((kept & top).sum() / kept.sum()),
        cut=float(keys[kept].min()),
        keys=keys,
    )


def effective_size(log_weights: Floats) -> float:
    """Kish's effective sample size of weights given as logarithms, in documents.

    >>> effective_size(np.zeros(7)), effective_size(np.array([0.0, -1000.0]))
    (7.0, 1.0)
    """
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum())


def temperature_for(scores: Floats, wanted: float) -> float:
    """Temperature at which the weights exp(score / temperature) have a wanted effective size.

    The effective size grows with the temperature, so it is found by bisection. Equal highest
    scores bound it from below, the number of documents from above; beyond those the nearest is
    returned.
    """
    finite = scores[np.isfinite(scores)]
    spread = float(finite.max() - finite.min()) if len(finite) else 0.0
    if spread == 0.0:
        return 1.0
    low, high = np.log(spread) - 16.0, np.log(spread) + 16.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if effective_size(finite / np.exp(middle)) < wanted:
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))


def _take(
    keys: Floats,
    scores: Floats,
    sizes: npt.NDArray[np.int64],
    policy: Policy,
    sources: Sequence[str] | npt.NDArray[Any] | None,
) -> npt.NDArray[np.bool_]:
    allowed = np.isfinite(scores)
    if policy.threshold is not None:
        allowed &= scores >= policy.threshold
    # Ties go to the earlier document, so that the choice does not depend on the sort.
    order = np.argsort(-keys, kind="stable")
    order = order[allowed[order]]
    amount = _amount(policy, sizes)
    for source, share in sorted(policy.quotas.items()):
        if sources is None or source not in set(np.asarray(sources).tolist()):
            raise InputError(f"there is no source {source!r}", column="quotas")
        if amount is None:
            raise InputError("needs an amount to be a share of", column="quotas")
        own = np.asarray(sources)[order] == source
        full = np.cumsum(np.where(own, sizes[order], 0)) > share * amount
        order = order[~(own & full)]
    kept = np.zeros(len(keys), np.bool_)
    if amount is not None:
        filled = np.cumsum(sizes[order])
        # The first document is kept even if it alone is larger than the amount.
        order = order[: max(1, int(np.searchsorted(filled, amount, side="right")))]
    kept[order] = True
    return kept


def _amount(policy: Policy, sizes: npt.NDArray[np.int64]) -> float | None:
    for given in (policy.documents, policy.text_bytes, policy.tokens):
        if given is not None:
            return float(given)
    return None if policy.fraction is None else policy.fraction * float(sizes.sum())
