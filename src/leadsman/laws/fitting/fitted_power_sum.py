"""A sum of powers with its parameters learned: curves, and draws of what is not known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.fitting import Optimum, PowerSum, log_curves, refit, robust_scale
from leadsman.laws.fitting.draws import draw_power_sum
from leadsman.laws.fitting.identify import describe_weakness
from leadsman.laws.fitting.posterior import choose
from leadsman.laws.fitting.power_sum_form import PowerSumForm
from leadsman.laws.fitting.shapes import ShapeAxes


@dataclass(frozen=True)
class ShapeFit:
    """The fit at one value of the shape parameters.

    Attributes:
        shape: their values.
        problem: what was fitted with them.
        optimum: its solution.
    """

    shape: tuple[float, ...]
    problem: PowerSum
    optimum: Optimum


class FittedPowerSum(FittedLaw):
    """A sum of powers with its parameters learned.

    Attributes:
        theta: log amplitudes, then exponents, shape (q,).
        shape: values of the law's shape parameters.
        value: the objective at the optimum.
    """

    law: PowerSumForm

    def __init__(
        self,
        law: PowerSumForm,
        y: str,
        x: Mapping[str, Floats],
        axes: ShapeAxes,
        fits: Sequence[ShapeFit],
        *,
        seed: int,
    ) -> None:
        self.law, self.y = law, y
        self._fits = sorted(fits, key=lambda each: each.optimum.value)
        best = self._fits[0]
        self.theta, self.value = best.optimum.theta, best.optimum.value
        self.shape, self.problem = best.shape, best.problem
        self._x, self._axes, self._seed = x, axes, seed
        self._bank: tuple[Floats, Floats] | None = None
        self.noise = robust_scale(self.residuals(), self.problem.size)
        self.warnings = describe_weakness(law, x, self.problem, self.theta, self.shape)

    def residuals(self) -> Floats:
        """Log of the result over the fitted curve for each run, shape (n,)."""
        problem = self.problem
        curve = log_curves(self.theta, problem.features, problem.base, problem.power)[0]
        return np.asarray(problem.log_y - curve)

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate at each point, shape (n,)."""
        terms = self.law.terms_at(self.law.read(points), self.shape)
        return np.asarray(np.exp(log_curves(self.theta, *terms)[0]))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the curve from the likelihood, shape (draws, n)."""
        bank, pick = self._bank_of_draws(), self._pick(draws, seed)
        # More draws than the bank holds repeat some: each curve is evaluated once.
        used, which = np.unique(pick, return_inverse=True)
        return self._curves(points, bank[0][used], bank[1][used])[which]

    def refit_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the curve by refits under exponential row weights, shape (draws, n).

        Too narrow where the parameters are hardly determined, but ten times cheaper.
        """
        thetas, shapes = self._refits(draws, seed)
        return self._curves(points, thetas, np.array(shapes).reshape(draws, -1))

    def parameters(self) -> dict[str, float]:
        """Amplitudes, exponents and shape parameters by name."""
        named = self._named(self.theta[None], np.array([self.shape]).reshape(1, -1))
        return {name: float(value[0]) for name, value in named.items()}

    def parameter_draws(self, *, draws: int = 200, seed: int = 0) -> dict[str, Floats]:
        """Draws of each parameter from the likelihood, shape (draws,)."""
        thetas, shapes = self._bank_of_draws()
        pick = self._pick(draws, seed)
        return self._named(thetas[pick], shapes[pick])

    def _named(self, thetas: Floats, shapes: Floats) -> dict[str, Floats]:
        count = len(self.law.terms)
        named = {name: np.exp(thetas[:, j]) for j, name in enumerate(self.law.terms)}
        named |= {each.name: thetas[:, count + k] for k, each in enumerate(self.law.exponents)}
        return named | {each.name: shapes[:, k] for k, each in enumerate(self.law.shapes)}

    def _curves(self, points: pl.DataFrame, thetas: Floats, shapes: Floats) -> Floats:
        """The curve for each row of ``thetas`` with its row of ``shapes``, shape (k, n)."""
        x = self.law.read(points)
        out = np.empty((len(thetas), len(points)))
        unique, which = np.unique(shapes, axis=0, return_inverse=True)
        for k, shape in enumerate(unique.tolist()):
            mine = which.ravel() == k
            out[mine] = log_curves(thetas[mine], *self.law.terms_at(x, tuple(shape)))
        return np.asarray(np.exp(out, out=out))

    def _bank_of_draws(self) -> tuple[Floats, Floats]:
        """Parameters (k, q) and shape parameters (k, m) from the likelihood, drawn once."""
        if self._bank is None:
            self._bank = draw_power_sum(
                self.problem,
                self.theta,
                axes=self._axes,
                shape=self.shape,
                at=lambda shapes: self.law.terms_at_each(self._x, shapes),
                seed=self._seed,
            )
        return self._bank

    def _pick(self, draws: int, seed: int) -> npt.NDArray[np.int64]:
        return choose(len(self._bank_of_draws()[0]), draws, seed=seed)

    def _refits(self, draws: int, seed: int) -> tuple[Floats, list[tuple[float, ...]]]:
        """Parameters (draws, q) of refits, and the shape each belongs to."""
        rows = self.problem.weights
        shares = np.random.default_rng([seed, 0]).standard_exponential((draws, len(rows)))
        weights = rows * shares / shares.mean(axis=1, keepdims=True)
        near = self._fits[:3]
        candidates = [refit(each.problem, each.optimum.theta, weights) for each in near]
        values = np.stack(
            [
                _values(each.problem, thetas, weights)
                for each, thetas in zip(near, candidates, strict=True)
            ]
        )
        pick = values.argmin(axis=0)
        thetas = np.stack(candidates)[pick, np.arange(draws)]
        return thetas, [near[each].shape for each in pick]


def _values(problem: PowerSum, thetas: Floats, weights: Floats) -> Floats:
    """The objective of each draw under its weights, shape (draws,)."""
    curves = log_curves(thetas, problem.features, problem.base, problem.power)
    size = np.abs(problem.log_y - curves)
    delta = problem.delta
    huber = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
    prior = problem.prior_precision * (thetas - problem.prior_mean) ** 2 / 2
    return np.asarray((weights * huber).sum(axis=1) + prior.sum(axis=1))
