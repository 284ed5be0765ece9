"""Learns the constants of the error model from the history of back-test errors.

The history table holds our own measured errors, one row a forecast point: at the rolling origins
(``origin`` 0, 1, ...) and at the runs held out (``origin`` -1), with the parts that were known
beforehand. The constants maximise the likelihood of the held-out errors under the model's Student
t, every data set weighing the same and every case within it the same, with weak priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import minimize
from scipy.stats import t as student

from leadsman.laws.base import Floats
from leadsman.laws.calibration.error_model import LARGEST_MISS, ErrorModel, Origin, Parts

PRIORS = {
    "noise_part": (1.0, 0.5),
    "parameter_part": (1.0, 0.5),
    "law_part": (1.0, 0.5),
    "growth": (0.005, 1.0),
    "growth_power": (1.0, 0.3),
    "dof": (4.0, 0.5),
    "pull": (0.5, 0.7),
    "drift_spread": (0.003, 1.0),
}
"""Median and log standard deviation of each positive constant before any history."""

DRIFT_PRIOR = 0.003
"""Standard deviation of ``drift`` about zero before any history."""


PRIOR_SHARE = 0.25
"""How much the priors weigh, in data sets."""


@dataclass(frozen=True)
class PastCase:
    """One back-test case of the history: its groups' origins and held-out errors."""

    dataset: str
    groups: list[list[Origin]]
    held: list[tuple[Parts, Floats]]


def past_cases(history: pl.DataFrame) -> list[PastCase]:
    """The history table as cases (columns: dataset, case, group, origin, share, noise, spread,
    disagreement, distance, error)."""
    cases = []
    for part in history.partition_by("dataset", "case", maintain_order=True):
        groups, held = [], []
        for mine in part.partition_by("group", maintain_order=True):
            origins = []
            for rows in mine.partition_by("origin", maintain_order=True):
                parts = Parts(
                    *(
                        rows[name].to_numpy().astype(np.float64)
                        for name in ("noise", "spread", "disagreement", "distance")
                    )
                )
                errors = rows["error"].to_numpy().astype(np.float64)
                if rows["origin"][0] < 0:
                    held.append((parts, errors))
                else:
                    origins.append(Origin(parts, errors, float(rows["share"][0])))
            groups.append(origins)
        cases.append(PastCase(part["dataset"][0], groups, held))
    return cases


def learn(cases: Sequence[PastCase], *, start: ErrorModel | None = None) -> ErrorModel:
    """The constants that make past held-out errors most likely.

    Args:
        cases: the history, without whatever must not be learned from.
        start: where the search begins.
    """
    begin = start or ErrorModel()
    names = list(PRIORS)
    first = np.array([np.log(getattr(begin, name)) for name in names] + [begin.drift * 1e3])
    counts: dict[str, int] = {}
    for case in cases:
        counts[case.dataset] = counts.get(case.dataset, 0) + 1
    weights = [1 / counts[case.dataset] for case in cases]

    flat = _Flat(cases, weights)

    def cost(vector: Floats) -> float:
        total = flat.loss(_model(vector))
        for value, (median, spread) in zip(vector[:-1], PRIORS.values(), strict=True):
            total += PRIOR_SHARE * 0.5 * ((value - np.log(median)) / spread) ** 2
        return float(total + PRIOR_SHARE * 0.5 * (vector[-1] / 1e3 / DRIFT_PRIOR) ** 2)

    found = minimize(
        cost, first, method="Powell", options={"maxiter": 12, "xtol": 0.02, "ftol": 1e-4}
    )
    return _model(found.x)


def _model(vector: Floats) -> ErrorModel:
    values = {name: float(np.exp(v)) for name, v in zip(PRIORS, vector[:-1], strict=True)}
    return ErrorModel(**values, drift=float(vector[-1]) / 1e3)


class _Flat:
    """All cases as flat arrays: the likelihood is evaluated a thousand times.

    Repeats :meth:`ErrorModel.scales` and :meth:`ErrorModel.drifts` with sums over rows; a test
    holds the two together.
    """

    def __init__(self, cases: Sequence[PastCase], weights: Sequence[float]) -> None:
        origins = [
            (c, g, origin)
            for c, case in enumerate(cases)
            for g, group in enumerate(case.groups)
            for origin in group
        ]
        groups = [(c, g) for c, case in enumerate(cases) for g in range(len(case.groups))]
        index = {pair: k for k, pair in enumerate(groups)}
        self.case_of_group = np.array([c for c, _ in groups])
        self.n_groups, self.n_cases = len(groups), len(cases)
        self.group_of_origin = np.array([index[c, g] for c, g, _ in origins])
        self.share = np.array([origin.share for *_, origin in origins])
        self.own, self.own_error, self.origin_of_row = _stack(
            [(origin.parts, origin.errors) for *_, origin in origins]
        )
        self.rows_of_origin = np.bincount(self.origin_of_row, minlength=len(origins))
        self.reach = self._mean(self.own.distance)
        self.mean_error = self._mean(self.own_error)
        held = [pair for case in cases for pair in case.held]
        self.held, self.held_error, self.group_of_held = _stack(held)
        sizes = np.bincount(self.case_of_group[self.group_of_held], minlength=len(cases))
        case_of_held = self.case_of_group[self.group_of_held]
        self.weight = np.asarray(weights)[case_of_held] / sizes[case_of_held]

    def _mean(self, values: Floats) -> Floats:
        sums = np.bincount(self.origin_of_row, values, minlength=len(self.share))
        return np.asarray(sums / self.rows_of_origin)

    def _per_group(self, values: Floats) -> Floats:
        sums = np.bincount(self.group_of_origin, values, minlength=self.n_groups)
        return sums.astype(np.float64)

    def loss(self, model: ErrorModel) -> float:
        """Weighted negative log density of all held-out errors."""
        variance = model.variance(self.own)
        miss = np.minimum(self._mean(self.own_error**2 / variance), LARGEST_MISS)
        pulls = model.pull * self.share
        said, count = self._per_group(pulls * miss), self._per_group(pulls)
        others_said = np.bincount(self.case_of_group, said)[self.case_of_group] - said
        others = np.bincount(self.case_of_group, count)[self.case_of_group] - count
        prior = (model.dof + others_said) / (model.dof + others)
        dof = model.dof + count
        lam2 = (model.dof * prior + said) / dof
        says = pulls * self.reach / self._mean(variance)
        precision = 1 / model.drift_spread**2
        drift = (model.drift * precision + self._per_group(says * self.mean_error)) / (
            precision + self._per_group(says * self.reach)
        )
        g = self.group_of_held
        width = np.sqrt(lam2[g] * model.variance(self.held))
        z = (self.held_error - drift[g] * self.held.distance) / width
        return float(self.weight @ (np.log(width) - student.logpdf(z, dof[g])))


def _stack(pairs: Sequence[tuple[Parts, Floats]]) -> tuple[Parts, Floats, npt.NDArray[np.int64]]:
    """Concatenated parts and errors, and which pair each row came from."""
    parts = Parts(
        *(
            np.concatenate([getattr(each, name) for each, _ in pairs])
            for name in ("noise", "spread", "disagreement", "distance")
        )
    )
    owner = np.repeat(np.arange(len(pairs)), [len(errors) for _, errors in pairs])
    return parts, np.concatenate([errors for _, errors in pairs]), owner


def constants(model: ErrorModel) -> dict[str, float]:
    """The model's constants, rounded to what the data can tell."""
    return {name: float(f"{value:.4g}") for name, value in asdict(model).items()}
