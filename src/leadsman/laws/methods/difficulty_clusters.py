"""A benchmark's score from the part of it that scales, cluster by cluster of difficulty.

    predictable subset:  p_c(C) = chance + (top_c - chance) / (1 + exp(-k_c (log10 C - m_c)))
    whole benchmark:     score = share * subset + (1 - share) * rest(subset)

Xu et al., "Unveiling Downstream Performance Scaling of LLMs: A Clustering-Based Perspective"
(2025, catalogue 15, "COD"): items whose pass rates rise together over small models are clustered;
clusters that have not begun to rise, or do not rise with scale, are left out; the rest is
extrapolated, and a map fitted on the same models turns its score into the whole benchmark's: here
the rest's score as a line in the subset's, both as logits. C in FLOPs; pass rates in [0, 1].
"""

from __future__ import annotations

import numpy as np
import polars as pl
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws.base import FittedLaw, Floats, Law
from leadsman.laws.fitting.fitted_parametric import FittedParametric
from leadsman.laws.fitting.parametric import logit, score_column, sigmoid
from leadsman.laws.methods.compute_sigmoid import ComputeSigmoid
from leadsman.laws.table import column
from leadsman.methods import Paper

MINIMUM_MODELS = 5
_MARGIN = 0.01


class DifficultyClusters(Law):
    """Benchmark score from compute, extrapolated on the clusters of items that scale.

    Args:
        clusters: most clusters tried; their number is chosen by the silhouette.
        emergence: a cluster whose best model gains less than this over chance is left out.
        chance: pass rate of a guess.

    Columns: ``flops``, ``item`` (label); ``y`` is the item's pass rate for the model with that
    compute. Points need ``flops`` only, and the forecast is the mean over all items.

    Raises:
        InputError: a column is missing, or a model lacks an item.
        DesignError: fewer than five models, or no cluster scales.
        MethodError: ``clusters`` below one, ``emergence`` or ``chance`` outside [0, 1).
    """

    name = "difficulty-clusters"
    paper = Paper(
        "Unveiling Downstream Performance Scaling of LLMs: A Clustering-Based Perspective", 2025, 15
    )
    inputs = ("flops", "item")
    output = "score"

    def __init__(self, *, clusters: int = 8, emergence: float = 0.05, chance: float = 0.0) -> None:
        if clusters < 1 or not (0 <= emergence < 1 and 0 <= chance < 1):
            raise MethodError("clusters must be at least 1; emergence and chance in [0, 1)")
        self.clusters = clusters
        self.emergence = emergence
        self.chance = chance

    def fit(
        self,
        runs: pl.DataFrame,
        *,
        y: str = "score",
        weights: Floats | None = None,
        seed: int = 0,
    ) -> FittedDifficultyClusters:
        """Fit on pass rates, one row for each model and item."""
        flops, rates = _grid(runs, y)
        if len(flops) < MINIMUM_MODELS:
            raise DesignError(
                f"difficulty-clusters needs {MINIMUM_MODELS} models, not {len(flops)}; add runs at "
                f"other compute"
            )
        labels = _cluster(rates.T, self.clusters, seed)
        curves: list[FittedParametric] = []
        sizes: list[int] = []
        kept = np.zeros(rates.shape[1], dtype=bool)
        for label in np.unique(labels):
            members = labels == label
            mean = rates[:, members].mean(axis=1)
            if not self._scales(np.log10(flops), mean):
                continue
            table = pl.DataFrame({"flops": flops, "score": mean})
            law = ComputeSigmoid(chance=self.chance, top=1.0)
            curves.append(law.fit(table, y="score", seed=seed))
            sizes.append(int(members.sum()))
            kept |= members
        if not curves:
            raise DesignError(
                "no cluster of items rises with compute yet; add larger models or easier items"
            )
        return FittedDifficultyClusters(
            self, y, curves, np.array(sizes) / sum(sizes), labels, kept, rates
        )

    def _scales(self, log_flops: Floats, mean: Floats) -> bool:
        """Whether a cluster has begun to rise, and rises with compute on the whole."""
        emerged = mean.max() - self.chance > self.emergence
        rises = np.corrcoef(log_flops, mean)[0, 1] > 0.5 if np.ptp(mean) > 0 else mean.min() > 0.9
        return bool(emerged and rises)


class FittedDifficultyClusters(FittedLaw):
    """A sigmoid for each cluster that scales, and a map from their mean to the whole benchmark.

    Attributes:
        labels: cluster of each item, in the order of first appearance, shape (items,).
        kept: whether each item belongs to a cluster that scales, shape (items,).
    """

    def __init__(
        self,
        law: DifficultyClusters,
        y: str,
        curves: list[FittedParametric],
        shares: Floats,
        labels: np.ndarray,
        kept: np.ndarray,
        rates: Floats,
    ) -> None:
        self.law, self.y, self.labels, self.kept = law, y, labels, kept
        self._curves, self._shares = curves, shares
        self._share = float(kept.mean())
        self._map, self._map_root = np.array([-20.0, 0.0]), np.zeros((2, 2))
        if self._share < 1:
            x = logit(rates[:, kept].mean(axis=1), margin=_MARGIN)
            target = logit(rates[:, ~kept].mean(axis=1), margin=_MARGIN)
            design = np.stack([np.ones(len(x)), x], axis=1)
            self._map, *_ = np.linalg.lstsq(design, target, rcond=None)
            wrong = target - design @ self._map
            spread = np.linalg.inv(design.T @ design) * np.sum(wrong**2) / (len(x) - 2)
            self._map_root = np.linalg.cholesky(spread + 1e-12 * np.eye(2))
        scatter = np.array([curve.noise for curve in curves])
        self.noise = float(np.sqrt(np.sum((shares * scatter) ** 2)))

    def curve(self, points: pl.DataFrame) -> Floats:
        """Best estimate of the whole benchmark's score, shape (n,)."""
        subset = np.zeros(len(points))
        for share, each in zip(self._shares, self._curves):
            subset += share * each.curve(points)
        return np.asarray(self._whole(subset[None], self._map[None].astype(np.float64))[0])

    def curve_draws(self, points: pl.DataFrame, *, draws: int, seed: int) -> Floats:
        """Draws over the clusters' curves and the map, shape (draws, n)."""
        rng = np.random.default_rng([seed, 3])
        subset = np.zeros((draws, len(points)))
        for index, (share, each) in enumerate(zip(self._shares, self._curves)):
            own = int(np.random.default_rng([seed, 4, index]).integers(2**31))
            subset += share * each.curve_draws(points, draws=draws, seed=own)
        noise = rng.standard_normal((draws, 2))
        return self._whole(subset, np.asarray(self._map + noise @ self._map_root.T))

    def _whole(self, subset: Floats, line: Floats) -> Floats:
        rest = sigmoid(line[:, :1] + line[:, 1:] * logit(subset, margin=_MARGIN))
        return np.asarray(self._share * subset + (1 - self._share) * rest)


def _grid(runs: pl.DataFrame, y: str) -> tuple[Floats, Floats]:
    """Compute of each model (m,), ascending, and pass rates (m, items)."""
    if "item" not in runs.columns:
        raise InputError("no column 'item'; label the question of each row")
    table = pl.DataFrame(
        {
            "flops": column(runs, "flops"),
            "item": runs["item"],
            "rate": score_column(runs, y),
        }
    )
    wide = table.pivot("item", index="flops", values="rate", aggregate_function="mean").sort(
        "flops"
    )
    rates = wide.drop("flops").to_numpy().astype(np.float64)
    if np.isnan(rates).any():
        row, place = np.argwhere(np.isnan(rates))[0]
        raise InputError(
            f"the model with {wide['flops'][int(row)]:.3g} FLOPs lacks item "
            f"{wide.columns[1 + int(place)]!r}"
        )
    return wide["flops"].to_numpy(), rates


def _cluster(features: Floats, most: int, seed: int) -> np.ndarray:
    """Items by the course of their pass rates; as many clusters as the silhouette likes."""
    distinct = len(np.unique(features, axis=0))
    best, labels = -1.0, np.zeros(len(features), dtype=int)
    for count in range(2, min(most, distinct - 1) + 1):
        found = KMeans(count, n_init=4, random_state=seed).fit_predict(features)
        quality = silhouette_score(features, found, sample_size=2000, random_state=seed)
        if quality > best:
            best, labels = quality, found
    return labels
