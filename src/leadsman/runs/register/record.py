"""How far registered forecasts could be trusted so far: coverage, sharpness, error over time.

    coverage(level)  = share of results inside the level's interval
    sharpness(level) = median of (high - low) / |median|; narrower is better at equal coverage
    error            = median / actual - 1, of each forecast in order of registration
    relative_crps    = mean CRPS / mean |actual|; lower is better

Gneiting, Balabdaoui and Raftery 2007: maximise sharpness subject to calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from leadsman.runs.register.forecast import LEVELS, ForecastScore


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """A summary of scored forecasts.

    Attributes:
        count: scored forecasts.
        pending: registered forecasts without a result.
        hits: results inside the interval, by level.
        sharpness: median relative width of the interval, by level.
        errors: relative error of each forecast, oldest first.
        mean_absolute_error: mean of the errors' sizes (relative).
        bias: mean of the errors (relative); above zero when runs did better than forecast.
        relative_crps: mean CRPS over mean size of the results.
    """

    count: int
    pending: int
    hits: dict[str, int]
    sharpness: dict[str, float]
    errors: tuple[float, ...]
    mean_absolute_error: float
    bias: float
    relative_crps: float

    @classmethod
    def of(cls, scores: Sequence[ForecastScore], *, pending: int = 0) -> TrackRecord | None:
        """Summarise scores, oldest first; ``None`` if there is none."""
        if not scores:
            return None
        errors = tuple(score.relative_error for score in scores)
        levels = [str(level) for level in LEVELS]
        return cls(
            count=len(scores),
            pending=pending,
            hits={level: sum(score.inside[level] for score in scores) for level in levels},
            sharpness={level: median(_width(score, level) for score in scores) for level in levels},
            errors=errors,
            mean_absolute_error=fmean(abs(error) for error in errors),
            bias=fmean(errors),
            relative_crps=fmean(score.crps for score in scores)
            / fmean(abs(score.actual) for score in scores),
        )

    def coverage(self, level: float) -> float:
        """Share of results inside the interval of this level."""
        return self.hits[str(level)] / self.count


def _width(score: ForecastScore, level: str) -> float:
    low, high = score.forecast.intervals[level]
    return (high - low) / abs(score.forecast.median)
