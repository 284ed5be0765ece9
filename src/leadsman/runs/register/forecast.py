"""A forecast as it is written down before its run, and its score after.

Where they are kept: :mod:`leadsman.runs.register.book`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True, kw_only=True)
class RegisteredForecast:
    """What a run is predicted to give, stored before it starts.

    Attributes:
        id: the id of the recipe it is about.
        y: name of the predicted column, e.g. ``bpb.target``.
        mean: predicted mean, in the unit of ``y``.
        median: predicted median.
        intervals: lower and upper bound by level (``"0.95": [low, high]``).
        draws: evenly spaced quantiles of the predictive distribution (its shape, for scoring).
        law: the law, or the weights of several.
        warnings: what the forecast warns of.
        fitted_on: ids of the runs it was fitted on.
        created: ISO 8601 time.
    """

    id: str
    y: str
    mean: float
    median: float
    intervals: Mapping[str, tuple[float, float]]
    draws: tuple[float, ...]
    law: str
    warnings: tuple[str, ...] = ()
    fitted_on: tuple[str, ...] = field(default=(), repr=False)
    created: str = ""

    @classmethod
    def from_draws(
        cls, recipe_id: str, draws: npt.NDArray[np.float64], *, keep: int = 199, **rest: Any
    ) -> RegisteredForecast:
        """Summarise draws of shape (k,)."""
        bounds = {}
        for level in LEVELS:
            low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
            bounds[str(level)] = (float(low), float(high))
        grid = (np.arange(keep) + 0.5) / keep
        return cls(
            id=recipe_id,
            mean=float(np.mean(draws)),
            median=float(np.median(draws)),
            intervals=bounds,
            draws=tuple(float(value) for value in np.quantile(draws, grid)),
            **rest,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> RegisteredForecast:
        """The inverse of :meth:`to_dict`."""
        values = dict(plain)
        values["intervals"] = {level: tuple(pair) for level, pair in values["intervals"].items()}
        for name in ("draws", "warnings", "fitted_on"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ForecastScore:
    """A registered forecast held against the run it was about.

    Attributes:
        forecast: the forecast.
        actual: what the run gave.
        relative_error: ``median / actual - 1``; above zero when the run did better (lower).
        inside: whether ``actual`` lies in the interval, by level.
        crps: continuous ranked probability score, in the unit of ``y`` (lower is better).
    """

    forecast: RegisteredForecast
    actual: float
    relative_error: float
    inside: Mapping[str, bool]
    crps: float

    @classmethod
    def of(cls, forecast: RegisteredForecast, actual: float) -> ForecastScore:
        """Score one forecast.

        >>> import numpy as np
        >>> draws = np.random.default_rng(0).normal(2.0, 0.1, 1000)
        >>> forecast = RegisteredForecast.from_draws("abc", draws, y="bpb", law="power")
        >>> score = ForecastScore.of(forecast, 2.5)
        >>> score.inside["0.95"], round(score.relative_error, 1)
        (False, -0.2)
        """
        draws = np.asarray(forecast.draws)
        spread = np.abs(draws[:, None] - draws[None, :]).mean()
        return cls(
            forecast=forecast,
            actual=actual,
            relative_error=forecast.median / actual - 1,
            inside={
                level: bool(low <= actual <= high)
                for level, (low, high) in forecast.intervals.items()
            },
            crps=float(np.abs(draws - actual).mean() - spread / 2),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)
