"""What the result of a deduplication depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leadsman.errors import InputError

Method = Literal["minhash", "exact"]


@dataclass(frozen=True, kw_only=True)
class DedupSettings:
    """What the result of a deduplication depends on, beside the documents.

    Attributes:
        method: ``exact`` copies only, or near copies too (``minhash``).
        threshold: least true Jaccard similarity of a near copy, in (0, 1].
        n: tokens in a shingle.
        bands, rows: of the signature; a pair of similarity J is compared with probability
            1 - (1 - J^rows)^bands.
        max_checks: most documents of its cluster one is compared with, nearest first.
        seed: of the signature's permutations.
    """

    method: Method = "minhash"
    threshold: float = 0.7
    n: int = 5
    bands: int = 20
    rows: int = 6
    max_checks: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("minhash", "exact"):
            raise InputError(
                f"must be minhash or exact, not {self.method!r} (paragraph, line and semantic: "
                f"leadsman.corpus.dedup.paragraphs and .semantic)",
                column="method",
            )
        if not 0 < self.threshold <= 1:
            raise InputError(f"must be in (0, 1], not {self.threshold}", column="threshold")
        for name in ("n", "bands", "rows", "max_checks"):
            if getattr(self, name) < 1:
                raise InputError(f"must be at least 1, not {getattr(self, name)}", column=name)
