"""Tokens in documents that are not tokenised yet: bytes of text over bytes a token.

With a tokenizer, the rate of each source is measured on a sample of its documents, and the
tokens of what was chosen are counted afterwards; without one, a stated rate is used for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leadsman.corpus import Corpus
from leadsman.corpus.shards.estimate import sample_documents
from leadsman.errors import InputError
from leadsman.train.tokens import load_tokenizer

BYTES_PER_TOKEN = 4.0
"""A rule of thumb for English prose under a tokenizer of 32,000 to 128,000 entries."""
_SAMPLE = 2000


@dataclass(frozen=True)
class TokenRate:
    """How many tokens documents hold.

    Attributes:
        bytes_per_token: for all sources that ``by_source`` does not name.
        by_source: measured rates.
        tokenizer: path of the ``tokenizer.json`` they were measured with; empty if stated.

    Raises:
        InputError: a rate that is not above zero.

    >>> TokenRate(4.0).of(np.array([8, 9]), np.array(["a", "b"])).tolist()
    [2, 3]
    """

    bytes_per_token: float = BYTES_PER_TOKEN
    by_source: Mapping[str, float] | None = None
    tokenizer: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.bytes_per_token < float("inf"):
            raise InputError(
                f"must be above zero, not {self.bytes_per_token}", column="bytes_per_token"
            )

    def of(self, text_bytes: npt.NDArray[np.int64], sources: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Tokens of each document, rounded up, shape (documents,)."""
        names, place = np.unique(sources, return_inverse=True)
        known = self.by_source or {}
        rates = np.array([known.get(str(name), self.bytes_per_token) for name in names])
        return np.asarray(np.ceil(text_bytes / rates[place]), np.int64)

    def count(self, chosen: Corpus) -> int:
        """Tokens of a corpus: counted with the tokenizer, or estimated without one."""
        if not self.tokenizer:
            return int(np.ceil(chosen.text_bytes / self.bytes_per_token))
        tokenizer = load_tokenizer(self.tokenizer)
        return sum(
            len(encoding.ids)
            for batch in chosen.batches(["text"])
            for encoding in tokenizer.encode_batch(
                batch.column("text").to_pylist(), add_special_tokens=False
            )
        )


def measured_rate(raw: Corpus, tokenizer: str | Path, *, seed: int) -> TokenRate:
    """Bytes a token of each source, on a sample of the documents.

    Raises:
        InputError: the file is no tokenizer.
    """
    loaded = load_tokenizer(tokenizer)
    rows = raw.take(sample_documents(raw, _SAMPLE, seed=seed), ["text", "source"])
    size: dict[str, int] = {}
    tokens: dict[str, int] = {}
    for row in rows.values():
        ids = loaded.encode(row["text"], add_special_tokens=False).ids
        size[row["source"]] = size.get(row["source"], 0) + len(row["text"].encode())
        tokens[row["source"]] = tokens.get(row["source"], 0) + len(ids)
    if not sum(tokens.values()):
        raise InputError("a sample of the documents holds no token", file=raw.location)
    return TokenRate(
        bytes_per_token=sum(size.values()) / sum(tokens.values()),
        by_source={name: size[name] / tokens[name] for name in sorted(size) if tokens[name]},
        tokenizer=str(tokenizer),
    )
