"""The one shape of a selector: ``fit(raw, target)``, then ``score(batch)``; higher is better."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.methods import Kind, Method


class Selector(Method, ABC):
    """Says how much each document is wanted."""

    kind: ClassVar[Kind] = "selector"

    @abstractmethod
    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """Learn what tells the target from the raw documents."""

    @abstractmethod
    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Score of each document in a batch with a ``text`` column, shape (n,)."""

    def judge(
        self, batch: pa.RecordBatch
    ) -> tuple[npt.NDArray[np.float32], list[str | None] | None]:
        """Scores as :meth:`score` gives them, and why, where the selector says.

        Returns:
            Scores, shape (n,), and a phrase for each document that has something against it
            (``None`` for one that has not), or ``None`` altogether.
        """
        return self.score(batch), None
