"""How good a set of forecasts was: error, bias, coverage, Winkler score, CRPS."""

from __future__ import annotations

import numpy as np

from leadsman.laws.base import Floats

LEVELS = (0.5, 0.8, 0.95)


def winkler(interval: Floats, truth: Floats, level: float) -> Floats:
    """Winkler (interval) score at each point, shape (n,); lower is better.

    Width of the interval, plus 2 / (1 - level) times how far outside the truth lies.

    Args:
        interval: shape (n, 2).
        truth: shape (n,).
        level: nominal coverage.

    >>> winkler(np.array([[1.0, 2.0]]), np.array([2.5]), 0.5)
    array([3.])
    """
    lower, upper = interval[:, 0], interval[:, 1]
    outside = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
    return np.asarray(upper - lower + 2 / (1 - level) * outside)


def central(draws: Floats, level: float) -> Floats:
    """Central interval of draws (k, n), shape (n, 2)."""
    tail = (1 - level) / 2
    return np.asarray(np.quantile(draws, [tail, 1 - tail], axis=0).T)


def point_scores(draws: Floats, centre: Floats, truth: Floats) -> dict[str, Floats]:
    """Scores of a forecast at each point, by name, each (n,).

    ``error`` is (forecast - truth) / truth; ``in50`` ... whether the truth was covered;
    ``winkler`` the 95 % Winkler score relative to the truth.

    Args:
        draws: shape (k, n).
        centre: point forecast, shape (n,).
        truth: shape (n,).
    """
    scores = {"error": (centre - truth) / truth}
    for level in LEVELS:
        lower, upper = central(draws, level).T
        scores[f"in{round(level * 100)}"] = ((lower <= truth) & (truth <= upper)).astype(float)
    scores["winkler"] = winkler(central(draws, 0.95), truth, 0.95) / truth
    return scores
