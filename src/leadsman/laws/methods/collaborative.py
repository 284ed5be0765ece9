"""Missing cells of a table of models by tasks, from the cells that are known.

    logit score(m, t) = mu_t + u_m . v_t + noise,   u_m ~ N(W f_m, I)

Zhang et al., "Collaborative Performance Prediction for Large Language Models" (2024, catalogue
304): models that agree on some tasks agree on others, whatever their family, and design factors
f_m (log size, log data) say where a model lies before it has been tested at all. Matrix
factorisation with those factors as prior means; drawn by Gibbs sampling, so every cell comes with
its own uncertainty: little for a model tested on much, a lot for one known by its size alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting.parametric import label_column, logit, score_column, sigmoid
from leadsman.laws.forecast import Forecast
from leadsman.laws.table import column
from leadsman.methods import Paper

_MARGIN = 0.005
_TASK_PRIOR = 1.0
_LEVEL_PRIOR = 0.1


class Collaborative(Law):
    """Scores of models on tasks by probabilistic matrix factorisation with design factors.

    Args:
        rank: hidden abilities.
        factors: numeric columns that describe a model; their logs are used.
        burn_in: Gibbs sweeps thrown away.
        kept: Gibbs sweeps kept, the draws of the posterior.

    Columns: ``model``, ``task`` (labels), the ``factors`` (constant within a model; a missing
    one counts as average).

    Raises:
        InputError: a column is missing, or a point's task was never seen.
        DesignError: fewer than three models or two tasks.
        MethodError: ``rank``, ``burn_in`` or ``kept`` below one.
    """

    name = "collaborative"
    paper = Paper("Collaborative Performance Prediction for Large Language Models", 2024, 304)
    inputs = ("model", "task")
    output = "score"

    def __init__(
        self,
        *,
        rank: int = 3,
        factors: Sequence[str] = (),
        burn_in: int = 300,
        kept: int = 300,
    ) -> None:
        if min(rank, burn_in, kept) < 1:
            raise MethodError("rank, burn_in and kept must be at least 1")
        self.rank = rank
        self.factors = factors
        self.burn_in = burn_in
        self.kept = kept

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "score",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedCollaborative:
        """Fit on the known cells, one a row."""
        scores = score_column(runs, y)
        labels = {name: label_column(runs, name) for name in ("model", "task")}
        models, tasks = _places(labels["model"]), _places(labels["task"])
        if len(models) < 3 or len(tasks) < 2:
            raise DesignError(
                f"collaborative needs three models and two tasks, "
                f"not {len(models)} and {len(tasks)}"
            )
        rows = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
        m = np.array([models[each] for each in labels["model"]])
        t = np.array([tasks[each] for each in labels["task"]])
        weight = np.zeros((len(models), len(tasks)))
        total = np.zeros_like(weight)
        np.add.at(weight, (m, t), rows)
        np.add.at(total, (m, t), rows * logit(scores, margin=_MARGIN))
        cells = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        raw = _factors(runs, self.factors)
        first = np.unique(m, return_index=True)[1]
        scaler = _Scaler.fit(raw[first])
        chain = _gibbs(cells, weight, scaler(raw[first]), self, np.random.default_rng([seed, 1]))
        return FittedCollaborative(self, y, models, tasks, scaler, chain)


@dataclass(frozen=True)
class _Chain:
    """Kept draws: abilities (k, M, r), levels (k, T), loadings (k, T, r), factors, scatter."""

    u: Floats
    mu: Floats
    v: Floats
    w: Floats
    sigma: Floats


class FittedCollaborative(FittedLaw):
    """Posterior draws of all models' abilities and all tasks' loadings."""

    def __init__(
        self,
        law: Collaborative,
        y: str,
        models: dict[str, int],
        tasks: dict[str, int],
        scaler: _Scaler,
        chain: _Chain,
    ) -> None:
        self.law: Collaborative = law
        self.y, self.models, self.tasks = y, models, tasks
        self._scaler, self._chain = scaler, chain
        # In the middle of the range a logit is worth a quarter of a point a point.
        self.noise = float(np.mean(chain.sigma)) / 4

    def curve(self, points: pl.DataFrame) -> Floats:
        """Posterior mean of the score at each (model, task), shape (n,)."""
        return np.asarray(self.curve_draws(points, draws=self.law.kept, seed=0).mean(axis=0))

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws of the noise-free score, shape (draws, n)."""
        return sigmoid(self._logits(points, draws, seed)[0])

    def predict(self, points: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> Forecast:
        """The predictive distribution; scatter is even on the logit, so scores stay in [0, 1]."""
        logits, sigma = self._logits(points, draws, seed)
        noise = np.random.default_rng([seed, 1]).standard_normal(logits.shape)
        values = sigmoid(logits + sigma[:, None] * noise)
        if "items" in points.columns:
            items = column(points, "items").astype(np.int64)
            values = np.random.default_rng([seed, 2]).binomial(items, values) / items
        warnings = tuple(
            () if model in self.models else (f"{model} was never tested; its factors speak for it",)
            for model in label_column(points, "model")
        )
        return Forecast(points=points, draws=values, y=self.y, law=self.law.name, warnings=warnings)

    def _logits(self, points: pl.DataFrame, draws: int, seed: int) -> tuple[Floats, Floats]:
        rng, chain = np.random.default_rng(seed), self._chain
        pick = np.arange(draws) % len(chain.sigma)
        names, tasks = label_column(points, "model"), label_column(points, "task")
        for row, task in enumerate(tasks):
            if task not in self.tasks:
                raise InputError(
                    f"{task!r} was never seen; known are {', '.join(list(self.tasks)[:8])}",
                    line=row + 1,
                    column="task",
                )
        t = np.array([self.tasks[task] for task in tasks])
        factors = self._scaler(_factors(points, self.law.factors))
        u = np.empty((draws, len(names), self.law.rank))
        asked = _places(names)
        of_row = np.array([asked[name] for name in names])
        for name, place in asked.items():
            at = np.flatnonzero(of_row == place)
            if name in self.models:
                u[:, at] = chain.u[pick, self.models[name]][:, None]
            else:
                centre = np.einsum("f,kfr->kr", factors[at[0]], chain.w[pick])
                u[:, at] = (centre + rng.standard_normal(centre.shape))[:, None]
        logits = chain.mu[pick][:, t] + np.einsum("knr,knr->kn", u, chain.v[pick][:, t])
        return logits, chain.sigma[pick]


def _places(labels: Sequence[str]) -> dict[str, int]:
    """Each different label and its number, in order of first appearance."""
    return {label: number for number, label in enumerate(dict.fromkeys(labels))}


@dataclass(frozen=True)
class _Scaler:
    mean: Floats
    spread: Floats

    @classmethod
    def fit(cls, raw: Floats) -> _Scaler:
        known = [raw[np.isfinite(raw[:, i]), i] for i in range(raw.shape[1])]
        mean = np.array([each.mean() if each.size else 0.0 for each in known])
        spread = np.array([each.std() if each.size > 1 else 1.0 for each in known])
        return cls(mean, np.where(spread > 0, spread, 1.0))

    def __call__(self, raw: Floats) -> Floats:
        return np.nan_to_num((raw - self.mean) / self.spread, nan=0.0)


def _factors(frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Logs of the factors, shape (n, f); missing or non-positive ones are NaN."""
    table = np.full((len(frame), len(names)), np.nan)
    for index, name in enumerate(names):
        if name in frame.columns:
            values = frame[name].cast(pl.Float64, strict=False).to_numpy()
            table[:, index] = np.log(np.where(values > 0, values, np.nan))
    return table


def _gibbs(
    cells: Floats, weight: Floats, factors: Floats, law: Collaborative, rng: np.random.Generator
) -> _Chain:
    """Sample abilities, loadings, factor weights and scatter in turn from their conditionals."""
    rank, known = law.rank, weight > 0
    counts = np.maximum(weight.sum(axis=0), 1e-9)
    mu, sigma2 = (cells * weight).sum(axis=0) / counts, 0.25
    centred = np.where(known, cells - mu, 0.0)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    rank_found = min(rank, len(size))
    u = rng.standard_normal((len(cells), rank)) * 0.1
    v = rng.standard_normal((cells.shape[1], rank)) * 0.1
    scale = np.sqrt(len(cells))
    u[:, :rank_found] = left[:, :rank_found] * scale
    v[:, :rank_found] = (right[:rank_found] * size[:rank_found, None]).T / scale
    w = np.zeros((factors.shape[1], rank))
    kept = []
    for sweep in range(law.burn_in + law.kept):
        precision = weight / sigma2
        u = _sample(v, precision, cells - mu, factors @ w, np.eye(rank), rng)
        ones = np.concatenate([np.ones((len(u), 1)), u], axis=1)
        prior = np.diag([_LEVEL_PRIOR, *[_TASK_PRIOR] * rank])
        both = _sample(ones, precision.T, cells.T, np.zeros((len(v), rank + 1)), prior, rng)
        mu, v = both[:, 0], both[:, 1:]
        if factors.shape[1]:
            gram = factors.T @ factors + np.eye(factors.shape[1])
            root = np.linalg.cholesky(np.linalg.inv(gram))
            w = np.linalg.solve(gram, factors.T @ u) + root @ rng.standard_normal(w.shape)
        wrong = np.sum(weight * (cells - mu - u @ v.T) ** 2)
        sigma2 = (0.1 + 0.5 * wrong) / rng.gamma(1.0 + 0.5 * known.sum())
        if sweep >= law.burn_in:
            kept.append((u, mu, v, w, np.sqrt(sigma2)))
    return _Chain(*(np.array(part) for part in zip(*kept)))


def _sample(
    design: Floats,
    precision: Floats,
    target: Floats,
    centre: Floats,
    prior: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Bayesian regressions with one shared design: coefficients (m, r) from targets (m, t)."""
    inner = prior + np.einsum("mt,tr,ts->mrs", precision, design, design)
    right = centre @ prior + np.einsum("mt,tr->mr", precision * target, design)
    mean = np.linalg.solve(inner, right[..., None])[..., 0]
    root = np.linalg.cholesky(inner)
    noise = np.linalg.solve(np.swapaxes(root, 1, 2), rng.standard_normal((*mean.shape, 1)))
    return np.asarray(mean + noise[..., 0])
