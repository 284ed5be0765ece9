"""How many bits of facts a model stores.

    bits(N, K, e) = min(K, R * e / (e + h) * N)

Allen-Zhu and Li, "Physics of Language Models: Part 3.3" (2024, catalogue 200): a model stores
about R = 2 bits a parameter once each fact was seen 1,000 times, about 1 bit at 100 exposures, and
never more than the K bits there are. The two published points fix h = 125 and R = 2.25 in the
saturating form, which is ours. N parameters, e exposures of each fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.parametric import ParametricLaw, grid
from leadsman.laws.fitting.parametric_form import Parameter
from leadsman.methods import Paper

PUBLISHED = {"R": 2.25, "h": 125.0}


class KnowledgeCapacity(ParametricLaw):
    """Bits of knowledge stored: so many a parameter, fewer with few exposures, never more than all.

    Args:
        delta: Huber's delta on log residuals; ``None`` adapts it to their scale.

    Columns: ``params``, ``data_bits`` (bits of knowledge in the data, see
    :func:`tuple_bits`), ``exposures`` (times each fact is seen); ``y`` is bits stored.

    Raises:
        InputError: a column is missing or not positive.
        DesignError: fewer than three runs.
    """

    name = "knowledge-capacity"
    paper = Paper(
        "Physics of Language Models: Part 3.3, Knowledge Capacity Scaling Laws", 2024, 200
    )
    inputs = ("params", "data_bits", "exposures")
    terms: ClassVar = (
        Parameter("R", 1e-6, 100.0, positive=True),
        Parameter("h", 1e-3, 1e6, positive=True),
    )

    def __init__(self, *, delta: float | None = None) -> None:
        self.delta = delta

    def equation(self, theta: Mapping[str, Floats], x: Mapping[str, Floats]) -> Floats:
        """min(K, R e / (e + h) N)."""
        capacity = theta["R"] * x["exposures"] / (x["exposures"] + theta["h"]) * x["params"]
        return np.asarray(np.minimum(x["data_bits"], capacity))

    def starts(self, x: Mapping[str, Floats], y: Floats) -> Mapping[str, Floats]:
        """Around the published constants."""
        return grid(R=PUBLISHED["R"] * np.array([0.25, 1.0, 4.0]), h=[5.0, PUBLISHED["h"], 1000.0])


def tuple_bits(entities: int, attributes: int, values: int) -> float:
    """Bits in a table of random facts: one of ``values`` for each attribute of each entity.

    >>> tuple_bits(1000, 6, 256)
    48000.0
    """
    return float(entities * attributes * np.log2(values))
