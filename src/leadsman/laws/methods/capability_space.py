"""A score on a hard task from a few shared capabilities of public models.

    S = PCA of the logits of standard benchmarks;   logit score = b . S + a + noise
    S_k(model) = theta_k,family log10 C + nu_k,family     where a model was not benchmarked

Ruan, Maddison and Hashimoto, "Observational Scaling Laws and the Predictability of Language Model
Performance" (2024): benchmarks of models of all families lie near a low-dimensional space;
families differ in how compute C moves them through it, not in what a place in it is worth. The
paper takes components of the scores themselves; logits, on which compute acts more evenly, are
ours. Scores in [0, 1]; C in FLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting.parametric import logit, score_column, sigmoid
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column
from leadsman.methods import Paper

_MARGIN = 0.01


class CapabilitySpace(Law):
    """Score on a task by regression on principal components of other benchmarks.

    Args:
        benchmarks: columns with the standard scores; ``None`` takes all ``score.*`` columns but
            the predicted one. Empty cells are filled from the components.
        components: principal components used.
        chance: score of a guess on the predicted task.

    Columns: the benchmarks. A model without any is placed by ``family`` and ``flops`` if the runs
    have both.

    Raises:
        InputError: no benchmark columns, or a point that neither benchmarks nor compute place.
        DesignError: fewer models than components plus three.
        MethodError: ``components`` below one or ``chance`` outside [0, 1).
    """

    name = "capability-space"
    paper = Paper(
        "Observational Scaling Laws and the Predictability of Language Model Performance", 2024
    )
    inputs = ("score.*",)
    output = "score"

    def __init__(
        self,
        *,
        benchmarks: Sequence[str] | None = None,
        components: int = 3,
        chance: float = 0.0,
    ) -> None:
        if components < 1 or not 0 <= chance < 1:
            raise MethodError(
                f"components must be at least 1 and chance in [0, 1), not {components}, {chance}"
            )
        self.benchmarks = benchmarks
        self.components = components
        self.chance = chance

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "score",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedCapabilitySpace:
        """Fit on public models, one a row."""
        scored = (name for name in runs.columns if name.startswith("score.") and name != y)
        names = tuple(scored if self.benchmarks is None else self.benchmarks)
        if not names:
            raise InputError("no benchmark columns; name them score.TASK or pass benchmarks")
        scores = score_column(runs, y)
        if len(scores) < self.components + 3:
            raise DesignError(
                f"capability-space with {self.components} components needs "
                f"{self.components + 3} models, not {len(scores)}"
            )
        space = _Space.fit(_table(runs, names), min(self.components, len(names)))
        places = space.place(_table(runs, names))
        target = logit((scores - self.chance) / (1 - self.chance), margin=_MARGIN)
        rows = np.ones(len(target)) if weights is None else np.asarray(weights, np.float64)
        regression = _Regression.fit(places, target, rows)
        return FittedCapabilitySpace(self, y, names, space, regression, _families(runs, places))


class FittedCapabilitySpace(FittedLaw):
    """The space, the regression on it, and a line in log compute for each family."""

    def __init__(
        self,
        law: CapabilitySpace,
        y: str,
        benchmarks: tuple[str, ...],
        space: _Space,
        regression: _Regression,
        families: dict[str, list[_Regression]],
    ) -> None:
        self.law: CapabilitySpace = law
        self.y, self.benchmarks, self.space = y, benchmarks, space
        self.families, self._regression = families, regression
        # In the middle of the range a logit is worth a quarter of a point a point.
        self.noise = regression.sigma * (1 - law.chance) / 4

    def capabilities(self, points: pl.DataFrame) -> Floats:
        """Place of each model in the space, shape (n, components); NaN without benchmarks."""
        table = _table(points, self.benchmarks)
        places = self.space.place(table)
        places[~np.isfinite(table).any(axis=1)] = np.nan
        return places

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the score, shape (n,)."""
        places, _ = self._places(points, 0, np.random.default_rng(0))
        return self._score(self._regression.mean_at(places))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the noise-free score, shape (draws, n)."""
        return self._score(self._logits(points, draws, seed))

    def predict(self, points: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> Forecast:
        """The predictive distribution; scatter is even on the logit, so scores stay in [0, 1]."""
        logits = self._logits(points, draws, seed)
        rng = np.random.default_rng([seed, 1])
        values = self._score(logits + self._regression.sigma * rng.standard_normal(logits.shape))
        if "items" in points.columns:
            items = column(points, "items").astype(np.int64)
            values = rng.binomial(items, values) / items
        by_compute = np.asarray(~np.isfinite(_table(points, self.benchmarks)).any(axis=1))
        warnings = tuple(
            ("no benchmarks given; placed by its family and compute",) if each else ()
            for each in by_compute.tolist()
        )
        return Forecast(points=points, draws=values, y=self.y, law=self.law.name, warnings=warnings)

    def _score(self, logits: Floats) -> Floats:
        return np.asarray(self.law.chance + (1 - self.law.chance) * sigmoid(logits))

    def _logits(self, points: pl.DataFrame, draws: int, seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        _, places = self._places(points, draws, rng)
        weights = self._regression.draw(draws, rng)
        return np.asarray(weights[:, :1] + np.einsum("kp,knp->kn", weights[:, 1:], places))

    def _places(
        self, points: pl.DataFrame, draws: int, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Best places (n, p), and draws of them (draws, n, p)."""
        best = self.capabilities(points)
        drawn = np.repeat(best[None], max(draws, 1), axis=0)
        unplaced = np.flatnonzero(np.isnan(best[:, 0]))
        if not unplaced.size:
            return best, drawn
        if not {"family", "flops"} <= set(points.columns):
            raise InputError(
                "no benchmark is known; give one, or family and flops", line=int(unplaced[0]) + 1
            )
        compute = np.log10(column(points, "flops"))
        for row in unplaced:
            family = str(points["family"][int(row)])
            if family not in self.families:
                raise InputError(
                    f"{family!r} has no two benchmarked models; known: {', '.join(self.families)}",
                    line=int(row) + 1,
                    column="family",
                )
            for index, line in enumerate(self.families[family]):
                best[row, index] = line.mean_at(compute[row, None, None])[0]
                w = line.draw(len(drawn), rng)
                scatter = line.sigma * rng.standard_normal(len(drawn))
                drawn[:, row, index] = w[:, 0] + w[:, 1] * compute[row] + scatter
        return best, drawn


@dataclass(frozen=True)
class _Regression:
    """Bayesian linear regression with a flat prior on everything but a touch of ridge."""

    weights: Floats
    root: Floats
    sigma: float
    freedom: int

    @classmethod
    def fit(cls, x: Floats, y: Floats, rows: Floats, *, sigma: float | None = None) -> _Regression:
        design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        gram = design.T @ (design * rows[:, None]) + 1e-9 * np.eye(design.shape[1])
        weights = np.linalg.solve(gram, design.T @ (y * rows))
        freedom = max(len(y) - design.shape[1], 1)
        if sigma is None:
            sigma = float(np.sqrt(np.sum(rows * (y - design @ weights) ** 2) / freedom))
        root = np.asarray(np.linalg.cholesky(np.linalg.inv(gram)), dtype=np.float64)
        return cls(weights.astype(np.float64), root, sigma, freedom)

    def mean_at(self, x: Floats) -> Floats:
        return np.asarray(self.weights[0] + x @ self.weights[1:])

    def draw(self, draws: int, rng: np.random.Generator) -> Floats:
        size = self.sigma * np.sqrt(self.freedom / rng.chisquare(self.freedom, (draws, 1)))
        noise = rng.standard_normal((draws, len(self.weights)))
        return np.asarray(self.weights + size * (noise @ self.root.T))


@dataclass(frozen=True)
class _Space:
    """Principal components of benchmark logits, learned around empty cells."""

    mean: Floats
    axes: Floats

    @classmethod
    def fit(cls, table: Floats, components: int) -> _Space:
        known = np.isfinite(table)
        if not known.any(axis=0).all():
            raise InputError("a benchmark column is empty; leave it out")
        mean = np.nanmean(table, axis=0)
        filled = np.where(known, table, mean)
        axes = np.zeros((components, table.shape[1]))
        # Hard imputation: fill, find components, refill; converges geometrically.
        for _ in range(100):
            mean = filled.mean(axis=0)
            axes = np.linalg.svd(filled - mean, full_matrices=False)[2][:components]
            again = np.where(known, table, mean + (filled - mean) @ axes.T @ axes)
            if np.abs(again - filled).max() < 1e-8:
                break
            filled = again
        return cls(mean, axes)

    def place(self, table: Floats) -> Floats:
        """Least-squares place of each row from the cells it has, shape (n, components)."""
        known = np.isfinite(table).astype(float)
        off = np.where(known > 0, np.nan_to_num(table) - self.mean, 0.0)
        gram = np.einsum("nt,pt,qt->npq", known, self.axes, self.axes)
        # A little ridge places a row with fewer cells than components near the middle.
        gram += 1e-2 * np.eye(len(self.axes))
        return np.asarray(np.linalg.solve(gram, (off @ self.axes.T)[..., None])[..., 0])


def _table(frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Logits of the benchmarks, shape (n, t); empty cells and missing columns are NaN."""
    table = np.full((len(frame), len(names)), np.nan)
    for index, name in enumerate(names):
        if name in frame.columns:
            values = frame[name].cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
            known = np.isfinite(values)
            table[known, index] = logit(values[known], margin=_MARGIN)
    return table


def _families(runs: pl.DataFrame, places: Floats) -> dict[str, list[_Regression]]:
    """For each family with two models or more, a line in log10 FLOPs for each component.

    The scatter is shared by all families, since few have enough models to show their own.
    """
    if not {"family", "flops"} <= set(runs.columns):
        return {}
    flops = runs["flops"].cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    known = np.isfinite(flops) & (flops > 0)
    labels = np.array([str(each) for each in runs["family"].to_list()])
    members = {
        name: np.flatnonzero(known & (labels == name))
        for name in dict.fromkeys(labels)
        if len(np.unique(flops[known & (labels == name)])) >= 2
    }
    result: dict[str, list[_Regression]] = {name: [] for name in members}
    for index in range(places.shape[1]):
        lines = {
            name: _Regression.fit(np.log10(flops[at])[:, None], places[at, index], np.ones(len(at)))
            for name, at in members.items()
        }
        squares = sum(
            line.sigma**2 * line.freedom * (len(members[n]) > 2) for n, line in lines.items()
        )
        freedom = max(sum(len(at) - 2 for at in members.values()), 1)
        shared = float(np.sqrt(squares / freedom))
        for name, line in lines.items():
            result[name].append(_Regression(line.weights, line.root, shared, freedom))
    return result
