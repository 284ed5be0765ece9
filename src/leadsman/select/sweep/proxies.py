"""What a sweep trains: :class:`leadsman.corpus.ngrams.proxy.NgramProxy`, or a neural one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from leadsman.corpus.ngrams.proxy import Floats, Mask


class Proxy(Protocol):
    """What a sweep trains.

    Attributes:
        sizes: bytes of each held-out unit, shape (units,).
    """

    sizes: npt.NDArray[np.int64]

    def losses(
        self, masks: Sequence[Mask], *, training_bytes: int | None, seed: int
    ) -> list[Floats]:
        """Nats on each held-out unit after training on each set of pool documents.

        Args:
            masks: documents of each set, shape (documents,); each set may hold the one before.
            training_bytes: bytes to train on, repeating or leaving out documents; by default
                every document once.
            seed: of order and initial weights.
        """
        ...
