"""Every law that is one equation: planted parameters and held-out results are found again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.algorithmic_progress import AlgorithmicProgress
from leadsman.laws.compute_gain import ComputeGain
from leadsman.laws.compute_sigmoid import ComputeSigmoid
from leadsman.laws.densing import Densing
from leadsman.laws.density import Density
from leadsman.laws.exponential_mixing import ExponentialMixing
from leadsman.laws.fact_frequency import FactFrequency
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.knowledge_capacity import KnowledgeCapacity
from leadsman.laws.loss_threshold import LossThreshold
from leadsman.laws.loss_to_error import LossToError
from leadsman.laws.loss_to_loss import LossToLoss
from leadsman.laws.loss_to_score import LossToScore
from leadsman.laws.overtraining_harm import OvertrainingHarm
from leadsman.laws.pass_until import PassUntil
from leadsman.laws.power_lr import PowerLR
from leadsman.laws.rectified import Rectified
from leadsman.laws.step_law import StepLaw
from leadsman.testing.planted import planted, truth_at


@dataclass(frozen=True)
class Case:
    law: ParametricLaw
    runs: pl.DataFrame
    points: pl.DataFrame
    theta: dict[str, float]
    noise: float
    outliers: int = 0
    bound: dict[str, object] = field(default_factory=dict)

    @property
    def y(self) -> str:
        return "score" if self.law.output == "score" else "loss"

    def equipped(self) -> ParametricLaw:
        """The law with the labels that a fit would have learned."""
        for name, value in self.bound.items():
            setattr(self.law, name, value)
        return self.law


def cross(**columns) -> pl.DataFrame:
    """Every combination of the values."""
    frame = pl.DataFrame({"_": [0]})
    for name, values in columns.items():
        frame = frame.join(pl.DataFrame({name: list(values)}), how="cross")
    return frame.drop("_")


def dirichlet(n: int, seed: int) -> pl.DataFrame:
    shares = np.random.default_rng(seed).dirichlet(np.ones(4), n)
    return pl.DataFrame({f"mix.{name}": shares[:, i] for i, name in enumerate("abcd")})


def powers(low: float, high: float, n: int) -> list[float]:
    return np.geomspace(low, high, n).tolist()


CASES = [
    Case(
        Rectified(),
        cross(tokens=[0.0, *powers(200, 204800, 11)]),
        cross(tokens=[1638400.0]),
        {"E": 1.0, "B": 300.0, "D_l": 120.0, "beta": 0.5},
        0.004,
    ),
    Case(
        OvertrainingHarm(),
        cross(tokens=powers(5e10, 3e12, 24)),
        cross(tokens=[5e12]),
        {"E": 1.8, "A": 1500.0, "alpha": 0.32, "H": 3e-10, "beta": 0.7},
        0.002,
    ),
    Case(
        LossToLoss(),
        cross(loss_x=np.linspace(2.4, 4.5, 24)),
        cross(loss_x=[2.1]),
        {"E_y": 0.6, "K": 0.8, "E_x": 1.5, "kappa": 1.1},
        0.003,
        outliers=1,
    ),
    Case(
        LossToError(),
        cross(loss=np.linspace(2.6, 4.5, 24)),
        cross(loss=[2.3]),
        {"epsilon": 0.87, "k": 4.0, "gamma": 1.0},
        0.004,
        outliers=1,
    ),
    Case(
        LossToScore(chance=0.25, top=1.0),
        cross(loss=np.linspace(0.9, 1.8, 20)),
        cross(loss=[0.75]),
        {"chance": 0.25, "top": 1.0, "k": 6.0, "L_0": 0.9},
        0.01,
    ),
    Case(
        LossToScore(chance=0.25, top=1.0),
        cross(loss=np.linspace(0.9, 1.8, 20)).with_columns(items=pl.lit(500)),
        cross(loss=[0.75]).with_columns(items=pl.lit(200)),
        {"chance": 0.25, "top": 1.0, "k": 6.0, "L_0": 0.9},
        0.01,
    ),
    Case(
        LossThreshold(chance=0.25),
        cross(loss=np.linspace(1.8, 3.2, 24)),
        cross(loss=[1.7]),
        {"chance": 0.25, "slope": 0.7, "eta": 2.2},
        0.01,
    ),
    Case(
        ComputeSigmoid(chance=0.1),
        cross(flops=powers(1e19, 1e23, 20)),
        cross(flops=[1e24]),
        {"chance": 0.1, "top": 1.0, "k": 1.1, "m": 23.0},
        0.015,
    ),
    Case(
        Density(chance=0.25),
        cross(params=powers(1e8, 1e10, 14)),
        cross(params=[5e10]),
        {"A": 130.0, "alpha": 0.18, "l": 3.0},
        0.01,
    ),
    Case(
        Densing(frontier=False),
        cross(year=np.linspace(2023.0, 2024.9, 20)),
        cross(year=[2025.5]),
        {"a": -0.4, "g": 2.4},
        0.2,
    ),
    Case(
        ComputeGain(chance=0.1),
        cross(flops=powers(1e20, 1e24, 10), method=["plain", "few-shot", "tools"]),
        cross(flops=[3e24], method=["tools"]),
        {"k": 1.2, "h": 23.0, "gain.few-shot": 4.0, "gain.tools": 20.0},
        0.02,
        bound={"methods_": ("plain", "few-shot", "tools")},
    ),
    Case(
        AlgorithmicProgress(),
        cross(
            params=powers(1e7, 1e11, 6),
            tokens=powers(1e8, 1e12, 6),
            year=[2014.0, 2017.0, 2020.0, 2023.0],
        ),
        cross(params=[1e11], tokens=[1e13], year=[2025.0]),
        {"E": 1.5, "A": 50.0, "alpha": 0.2, "p": 0.1, "B": 100.0, "beta": 0.22, "q": 0.12},
        0.02,
        outliers=3,
    ),
    Case(
        KnowledgeCapacity(),
        cross(
            params=powers(1e6, 1e8, 4), data_bits=[1e7, 1e9], exposures=[50, 100, 300, 1000, 3000]
        ),
        cross(params=[1e9], data_bits=[1e12], exposures=[1000]),
        {"R": 2.25, "h": 125.0},
        0.05,
        outliers=1,
    ),
    Case(
        FactFrequency(),
        cross(documents=[0, 1, 5, 20, 100, 1000, 10000], params=powers(1e8, 1e10, 4)),
        cross(documents=[50], params=[1e11]),
        {"a": -1.0, "b": 0.35, "c": 0.4, "d": 0.05},
        0.01,
    ),
    Case(
        StepLaw(),
        cross(params=powers(5e7, 2e9, 5), tokens=powers(1e9, 1e11, 5)),
        cross(params=[1e10], tokens=[1e12]),
        {"c": 1.79, "a": -0.713, "b": 0.307},
        0.1,
        outliers=1,
    ),
    Case(
        StepLaw(with_params=False),
        cross(tokens=powers(1e9, 1e11, 9)),
        cross(tokens=[1e12]),
        {"c": 0.58, "b": 0.571},
        0.1,
    ),
    Case(
        PowerLR(),
        cross(batch_tokens=[65536, 262144, 1048576], tokens=powers(1e9, 1e11, 6)),
        cross(batch_tokens=[4194304], tokens=[1e12]),
        {"a": 4.0, "b": -0.51},
        0.1,
    ),
    Case(
        ExponentialMixing(),
        dirichlet(40, 5),
        dirichlet(3, 6),
        {"c": 1.5, "t.mix.a": 0.2, "t.mix.b": -1.2, "t.mix.c": 0.9, "t.mix.d": 0.5},
        0.004,
        outliers=2,
        bound={"sources_": ("mix.a", "mix.b", "mix.c", "mix.d")},
    ),
    Case(
        PassUntil(),
        cross(params=powers(3e7, 1.5e9, 10)),
        cross(params=[2.4e9]),
        {"c": 300.0, "alpha": 0.22},
        0.03,
    ),
]
IDS = [f"{case.law.name}-{index}" for index, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_planted_parameters_and_results_are_found(case):
    law = case.equipped()
    runs = planted(
        law, case.runs, case.theta, y=case.y, noise=case.noise, seed=1, outliers=case.outliers
    )
    fitted = law.fit(runs, y=case.y, seed=0)
    drawn = fitted.parameter_draws(draws=1000, seed=0)
    for name, true in case.theta.items():
        # 99.8 % of a bootstrap, widened by a hair for parameters that are held fixed.
        low, high = np.quantile(drawn[name], [0.001, 0.999])
        slack = 1e-9 + 0.15 * (high - low)
        assert low - slack <= true <= high + slack, (name, true, fitted.parameters())
    true = truth_at(law, case.points, case.theta)
    forecast = fitted.predict(case.points, seed=0)
    inside = forecast.interval(0.99)
    assert np.all((inside[:, 0] <= true) & (true <= inside[:, 1])), (inside, true)
    # The interval must also say something: scatter and parameters are small in these designs.
    relative = (inside[:, 1] - inside[:, 0]) / (true if case.y == "loss" else 1.0)
    assert np.all(relative < max(0.5, 20 * case.noise)), relative


def _known_too_narrow(case):
    """The five parameters of over-training harm on 24 rows: draws around a curved optimum."""
    reason = "nominal 90 % intervals cover about 75 %, see docs/log"
    narrow = case.law.name == "overtraining-harm"
    return pytest.param(case, marks=pytest.mark.xfail(reason=reason) if narrow else ())


@pytest.mark.slow
@pytest.mark.parametrize("case", [_known_too_narrow(case) for case in CASES], ids=IDS)
def test_coverage_of_new_results_is_nominal(case):
    law, inside, replicates = case.equipped(), [], 60
    for seed in range(replicates):
        runs = planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=seed)
        new = planted(law, case.points, case.theta, y=case.y, noise=case.noise, seed=10_000 + seed)
        bounds = law.fit(runs, y=case.y, seed=seed).predict(case.points, seed=seed).interval(0.9)
        value = new[case.y].to_numpy()
        inside.append(np.mean((bounds[:, 0] <= value) & (value <= bounds[:, 1])))
    # 90 % nominal; 60 replicates have a standard error of 3.9 points, three of them allowed.
    assert 0.78 <= np.mean(inside) <= 1.0, np.mean(inside)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_same_seed_same_forecast(case):
    law = case.equipped()
    runs = planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=2)
    one, two = (
        law.fit(runs, y=case.y, seed=3).predict(case.points, seed=4).draws for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_bad_input_is_refused(case):
    law = case.equipped()
    runs = planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=2)
    with pytest.raises(DesignError, match="add"):
        law.fit(runs[:2], y=case.y)
    name = case.y
    with pytest.raises(InputError, match=name):
        law.fit(runs.with_columns(pl.lit(float("nan")).alias(name)), y=name)
    with pytest.raises(InputError):
        law.fit(runs.drop(name), y=name)
    if name == "score":
        with pytest.raises(InputError, match="0"):
            law.fit(runs.with_columns(pl.col(name) * 100 + 1), y=name)
