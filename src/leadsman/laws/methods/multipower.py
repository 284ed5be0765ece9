"""The whole loss curve under any learning-rate schedule.

    L(t)  = L_0 + A S(t)^-alpha - LD(t)
    LD(t) = B * sum over changes k up to t of (lr_{k-1} - lr_k) * G(lr_k^-gamma (S(t) - S(k - 1)))
    G(u)  = 1 - (1 + C u)^-beta

Luo et al., "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules" (2025):
a power law in S, the learning rate summed over steps (warm-up included), minus what each decrease
of the rate has gained so far. Fitted on a few curves of one model it predicts curves under
schedules never run. Loss in nats per token. A rise counts as a loss, and warm-up as a rise; the
paper counts changes from the peak on.

Rows of a curve may be sparse. A change of rate between two rows that stands alone is taken for a
jump just before the second; one among others for a ramp, and its gain counts from its middle.

Two or three curves hardly determine the shape of G. C, beta and gamma therefore have a prior around
1, 0.5 and 0.5, where the authors start their (early stopped) search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numba import njit

from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting.least_squares import minimise
from leadsman.laws.fitting.parametric import grid
from leadsman.laws.table import column
from leadsman.methods import Paper

NAMES = ("L_0", "A", "alpha", "B", "C", "beta", "gamma")
_LOWER = np.array([0.0, np.log(1e-4), 0.05, np.log(1e-2), np.log(1e-4), 0.05, 0.0])
_UPPER = np.array([20.0, np.log(1e3), 3.0, np.log(1e6), np.log(1e4), 4.0, 2.0])
_LOGGED = np.array([False, True, False, True, True, False, False])
_PRIOR_MEAN = np.array([0.0, 0.5, 0.5])
_PRIOR_SPREAD = np.array([0.7, 0.1, 0.1])
_BLOCKS = 12
_WARMUP_PARTS = 16
_GONE = -700.0
"""Log of an amplitude of zero, as near as doubles come."""


class MultiPower(Law):
    """Loss curve from the learning-rate history: a multi-power law.

    Args:
        warmup_steps: steps of linear warm-up from zero; ``None``: up to the first row's step.
        delta: Huber's delta on log residuals.
        prior: whether the shape of G is held near the paper's; needed unless many curves differ.

    Columns: ``run`` (label of the curve; one curve if missing), ``step``, ``lr``. Points are whole
    schedules: rows of one ``run`` in order from the start of training.

    Raises:
        InputError: a column is missing, or steps of a curve do not increase.
        DesignError: no curve in which the rate falls, or fewer than ten rows.
        MethodError: ``delta`` not above zero.
    """

    name = "multipower"
    paper = Paper(
        "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules", 2025
    )
    inputs = ("step", "lr")

    def __init__(
        self, *, warmup_steps: int | None = None, delta: float = 1e-3, prior: bool = True
    ) -> None:
        if not delta > 0:
            raise MethodError(f"delta must be above zero, not {delta}")
        self.warmup_steps = warmup_steps
        self.delta = delta
        self.prior = prior

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "loss",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedMultiPower:
        """Fit on rows of one or more loss curves."""
        target = np.log(column(runs, y))
        histories = _histories(runs, self.warmup_steps)
        if len(target) < 10 or not any((history.drops > 0).any() for history in histories):
            raise DesignError(
                "multipower needs ten rows or more, among them a curve whose learning rate falls: "
                "add one with a cosine, a decay or a step down"
            )
        rows = np.ones(len(target)) if weights is None else np.asarray(weights, np.float64)
        theta, cost = self.search(histories, target, rows, _starts(histories, target))
        return FittedMultiPower(self, y, theta[np.argmin(cost)], histories, target, rows, seed)

    def search(
        self,
        histories: Sequence[_History],
        target: Floats,
        weights: Floats,
        starts: Floats,
        *,
        iterations: int = 150,
    ) -> tuple[Floats, Floats]:
        """Parameters (b, 7) and costs (b,) from ``starts``, for log losses (n,) or (b, n)."""
        curve, size = _curve(histories, target.shape[-1]), target.shape[-1]
        # Rows of a block are wrong together and count as one observation against the prior.
        shares = size / (_BLOCKS * len(histories)) * np.ones(3) if self.prior else np.zeros(3)

        def residuals(theta: Floats) -> Floats:
            wrong = np.log(np.maximum(curve(theta), 1e-6)) - target
            off = self.delta * (theta[:, 4:] - _PRIOR_MEAN) / _PRIOR_SPREAD
            return np.concatenate([wrong, off], axis=1)

        return minimise(
            residuals,
            starts,
            lower=_LOWER,
            upper=_UPPER,
            weights=np.concatenate([weights, shares]),
            delta=np.concatenate([np.full(size, self.delta), np.full(3, np.inf)]),
            iterations=iterations,
            tolerance=1e-7,
        )


class FittedMultiPower(FittedLaw):
    """A multi-power law with its seven parameters."""

    def __init__(
        self,
        law: MultiPower,
        y: str,
        theta: Floats,
        histories: Sequence[_History],
        target: Floats,
        weights: Floats,
        seed: int,
    ) -> None:
        self.law: MultiPower = law
        self.y, self.theta, self._seed = y, theta, seed
        self._histories, self._target, self._weights = histories, target, weights
        self._fitted = np.log(_curve(histories, len(target))(theta[None])[0])
        self.noise = float(np.sqrt(np.sum((target - self._fitted) ** 2) / (len(target) - 7)))
        self._bank: Floats | None = None

    def parameters(self) -> dict[str, float]:
        """The seven parameters."""
        return dict(zip(NAMES, map(float, np.where(_LOGGED, np.exp(self.theta), self.theta))))

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Draws of each parameter, shape (draws,)."""
        theta = self._draws(draws, seed)
        return dict(zip(NAMES, np.where(_LOGGED, np.exp(np.minimum(theta, 50)), theta).T))

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the loss along each schedule, shape (n,)."""
        return np.asarray(self._at(self.theta[None], points)[0])

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the loss along each schedule, shape (draws, n)."""
        bank = np.unique(self._draws(draws, seed), axis=0, return_inverse=True)
        return np.asarray(self._at(bank[0], points)[bank[1]])

    def _at(self, theta: Floats, points: pl.DataFrame) -> Floats:
        histories = _histories(points, self.law.warmup_steps)
        return np.asarray(np.maximum(_curve(histories, len(points))(theta), 1e-6))

    def _draws(self, draws: int, seed: int) -> Floats:
        """Wild bootstrap: the residuals of a twelfth of a curve change sign together.

        Neighbouring rows of a curve are wrong together, so they are not dealt one by one.
        """
        if self._bank is None:
            rng = np.random.default_rng([self._seed, 2])
            signs = np.empty((60, len(self._target)))
            for history in self._histories:
                for block in np.array_split(history.rows, _BLOCKS):
                    signs[:, block] = rng.choice([-1.0, 1.0], size=(60, 1))
            target = self._fitted + signs * (self._target - self._fitted)
            starts = np.repeat(self.theta[None], len(signs), axis=0)
            self._bank, _ = self.law.search(
                self._histories, target, self._weights, starts, iterations=40
            )
        return self._bank[np.random.default_rng(seed).integers(len(self._bank), size=draws)]


@dataclass(frozen=True)
class _History:
    """One curve: its rows in the table, S at them, and the decreases of the rate."""

    rows: np.ndarray
    area: Floats
    drops: Floats
    drop_area: Floats
    drop_lr: Floats
    seen: np.ndarray


def _histories(frame: pl.DataFrame, warmup_steps: int | None) -> list[_History]:
    step, lr = column(frame, "step", positive=False), column(frame, "lr", positive=False)
    labels = frame["run"].cast(pl.String).to_numpy() if "run" in frame.columns else None
    if labels is None:
        return [_history(np.arange(len(step)), step, lr, warmup_steps)]
    names = list(dict.fromkeys(labels))
    return [
        _history(rows, step[rows], lr[rows], warmup_steps)
        for rows in (np.flatnonzero(labels == name) for name in names)
    ]


def _history(rows: np.ndarray, step: Floats, lr: Floats, warmup_steps: int | None) -> _History:
    gap = np.diff(step)
    if (gap <= 0).any():
        row = int(rows[int(np.argmax(gap <= 0)) + 1])
        raise InputError("steps of one curve must increase", line=row + 1, column="step")
    if (lr < 0).any():
        raise InputError("must not be negative", line=int(rows[np.argmax(lr < 0)]) + 1, column="lr")
    warmup = step[0] if warmup_steps is None else min(warmup_steps, step[0])
    first = lr[0] * (step[0] - 0.5 * warmup) + lr[0]
    change = -np.diff(lr)
    moving = change != 0
    beside = np.r_[False, moving[:-1]] | np.r_[moving[1:], False]
    ramp = moving & beside
    mean = np.where(ramp, 0.5 * (lr[1:] + lr[:-1]), lr[:-1])
    area = first + np.r_[0.0, np.cumsum(gap * mean)]
    # A jump is in force for the step of its row; a ramp's gain counts from its middle.
    start = np.where(ramp, 0.5 * (area[1:] + area[:-1]), area[1:] - lr[1:])
    at = np.flatnonzero(moving)
    floor = max(float(lr.max()) * 1e-3, 1e-12)
    part = (np.arange(_WARMUP_PARTS) + 0.5) / _WARMUP_PARTS
    return _History(
        rows=rows,
        area=area,
        drops=np.r_[np.full(_WARMUP_PARTS, -lr[0] / _WARMUP_PARTS), change[at]],
        drop_area=np.r_[0.5 * lr[0] * warmup * part**2, start[at]],
        drop_lr=np.maximum(np.r_[lr[0] * part, lr[1:][at]], floor),
        seen=_WARMUP_PARTS + np.searchsorted(at, np.arange(len(lr)), side="left"),
    )


def _curve(histories: Sequence[_History], size: int) -> Callable[[Floats], Floats]:
    """The law at the rows of these curves: parameters (b, 7) to losses (b, n)."""

    @lru_cache(maxsize=5)
    def gains(packed: bytes) -> Floats:
        """Sum over decreases without B; the same for all steps in L_0, A, alpha and B."""
        shape = np.frombuffer(packed).reshape(-1, 3)
        result = np.zeros((len(shape), size))
        for history in histories:
            result[:, history.rows] = _gains(
                history.area,
                history.drops,
                history.drop_area,
                np.log(history.drop_lr),
                history.seen,
                shape,
            )
        return result

    area = np.empty(size)
    for history in histories:
        area[history.rows] = history.area
    log_area = np.log(area)

    def at(theta: Floats) -> Floats:
        power = np.exp(theta[:, 1, None] - theta[:, 2, None] * log_area)
        gain = np.exp(theta[:, 3, None]) * gains(np.ascontiguousarray(theta[:, 4:]).tobytes())
        return np.asarray(theta[:, 0, None] + power - gain)

    return at


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _gains(
    area: Floats,
    drops: Floats,
    drop_area: Floats,
    log_lr: Floats,
    seen: np.ndarray,
    shape: Floats,
) -> Floats:
    result = np.zeros((len(shape), len(area)))
    rate = np.empty(len(drops))
    for b in range(len(shape)):
        beta = shape[b, 1]
        for k in range(len(drops)):
            rate[k] = np.exp(shape[b, 0] - shape[b, 2] * log_lr[k])
        for i in range(len(area)):
            total = 0.0
            for k in range(seen[i]):
                u = max(area[i] - drop_area[k], 0.0)
                total += drops[k] * (1.0 - np.exp(-beta * np.log1p(rate[k] * u)))
            result[b, i] = total
    return result


def _starts(histories: Sequence[_History], target: Floats) -> Floats:
    """Shapes of the gain on a grid; L_0, A and B follow from least squares at each."""
    size = len(target)
    curve = _curve(histories, size)
    rows = []
    shapes = grid(alpha=[0.3, 0.6], C=np.log([0.3, 3.0]), beta=[0.3, 0.6], gamma=[0.3, 0.7])
    for alpha, log_c, beta, gamma in zip(*shapes.values()):
        parts = []
        for log_a, log_b in ((0.0, _GONE), (_GONE, 0.0)):  # the power alone, the gain alone
            parts.append(curve(np.array([[0.0, log_a, alpha, log_b, log_c, beta, gamma]]))[0])
        design = np.stack([np.ones(size), *parts], axis=1)
        found, *_ = np.linalg.lstsq(design, np.exp(target), rcond=None)
        floor, height, gain = (max(float(v), s) for v, s in zip(found, (0.1, 0.05, 1.0)))
        rows.append([floor, np.log(height), alpha, np.log(gain), log_c, beta, gamma])
    return np.array(rows)
