"""How sure a choice is: of its data and settings, and of its size.

Sizes beside each other give nearly the same result and split the worlds in which a choice is best
between them, so the chance that one option is best of all says little. Asked apart are whether its
data and settings are best, and whether its size is near enough to the best size for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from leadsman.plan.decision.space import Floats


def certainty_of(
    labels: Sequence[str], draws: Floats, chosen: int, *, tolerance: float
) -> dict[str, Any]:
    """Chances over joint draws.

    Args:
        labels: data and settings of each option, shape (n,).
        draws: results of the options, lower is better, shape (worlds, n).
        chosen: which option was chosen.
        tolerance: difference that does not count, in the unit of the result.

    Returns:
        ``data``: chance that the best option has the chosen one's data and settings; ``size``:
        chance that the choice is within ``tolerance`` of the best size with these; ``tolerance``.

    >>> draws = np.array([[1.0, 1.1, 2.0], [1.1, 1.0, 2.0], [1.3, 1.2, 1.1], [1.0, 1.5, 2.0]])
    >>> found = certainty_of(["a", "a", "b"], draws, 0, tolerance=0.0)
    >>> found["data"], found["size"]
    (0.75, 0.5)
    """
    same = np.array([label == labels[chosen] for label in labels])
    own = draws[:, same].min(axis=1)
    return {
        "data": float((own <= draws.min(axis=1)).mean()),
        "size": float((draws[:, chosen] - own <= tolerance).mean()),
        "tolerance": tolerance,
    }
