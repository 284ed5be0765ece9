"""Planted truths for every built-in law that has parameters: settings, parameters, scatter.

Used by the tests of recovery and of coverage; constants are the papers' where they print them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from leadsman.laws.algorithmic_progress import AlgorithmicProgress
from leadsman.laws.average_params import AverageParams
from leadsman.laws.broken_power import BrokenPower
from leadsman.laws.chinchilla import Chinchilla
from leadsman.laws.compute_gain import ComputeGain
from leadsman.laws.compute_sigmoid import ComputeSigmoid
from leadsman.laws.data_constrained import DataConstrained
from leadsman.laws.densing import Densing
from leadsman.laws.density import Density
from leadsman.laws.exponential_mixing import ExponentialMixing
from leadsman.laws.fact_frequency import FactFrequency
from leadsman.laws.finetune_power import FinetuneJoint, FinetunePower
from leadsman.laws.fitting.parametric import ParametricLaw
from leadsman.laws.kaplan import Kaplan
from leadsman.laws.kaplan_batch import KaplanBatch
from leadsman.laws.knowledge_capacity import KnowledgeCapacity
from leadsman.laws.learning_curve import LearningCurve
from leadsman.laws.loss_threshold import LossThreshold
from leadsman.laws.loss_to_error import LossToError
from leadsman.laws.loss_to_loss import LossToLoss
from leadsman.laws.loss_to_score import LossToScore
from leadsman.laws.mixture_of_experts import MixtureOfExperts, Routing
from leadsman.laws.over_training import OverTraining
from leadsman.laws.overtraining_harm import OvertrainingHarm
from leadsman.laws.pass_until import PassUntil
from leadsman.laws.power import Power
from leadsman.laws.power_lr import PowerLR
from leadsman.laws.power_sum import PowerSumLaw
from leadsman.laws.rectified import Rectified
from leadsman.laws.shifted_power import ShiftedPower
from leadsman.laws.step_law import StepLaw
from leadsman.laws.width_depth import WidthDepth


@dataclass(frozen=True)
class Case:
    """A planted truth.

    Attributes:
        law: gives the equation.
        runs: settings of the runs.
        points: settings to forecast.
        theta: the true parameters.
        noise: scatter, as in :func:`leadsman.testing.planted.planted`.
        outliers: runs moved far up.
        variant: what tells the case from others of its law.
        bound: labels that a fit would have learned.
    """

    law: ParametricLaw | PowerSumLaw
    runs: pl.DataFrame
    points: pl.DataFrame
    theta: dict[str, float]
    noise: float
    outliers: int = 0
    variant: str = ""
    bound: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The law, and what tells two cases of it apart."""
        return "-".join(filter(None, [self.law.name, self.variant]))

    def design(self, seed: int) -> pl.DataFrame:
        """Settings of a replicate: 85 % of them, whichever are lost, so that some are unlucky."""
        kept = self.runs.sample(fraction=0.85, seed=seed)
        return kept if len(kept) > len(self.theta) + 3 else self.runs

    @property
    def y(self) -> str:
        """The column of results."""
        return "score" if self.law.output == "score" else "loss"

    def equipped(self) -> ParametricLaw | PowerSumLaw:
        """The law with the labels that a fit would have learned."""
        for name, value in self.bound.items():
            setattr(self.law, name, value)
        return self.law


def cross(**columns: Iterable[object]) -> pl.DataFrame:
    """Every combination of the values."""
    frame = pl.DataFrame({"_": [0]})
    for name, values in columns.items():
        frame = frame.join(pl.DataFrame({name: list(values)}), how="cross")
    return frame.drop("_")


def dirichlet(n: int, seed: int) -> pl.DataFrame:
    """Mixtures of four sources, even over the simplex."""
    shares = np.random.default_rng(seed).dirichlet(np.ones(4), n)
    return pl.DataFrame({f"mix.{name}": shares[:, i] for i, name in enumerate("abcd")})


def powers(low: float, high: float, n: int) -> list[float]:
    """Evenly spaced in the log."""
    return [float(value) for value in np.geomspace(low, high, n)]


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
        variant="items",
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
        variant="tokens",
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
    Case(
        LearningCurve(),
        cross(tokens=powers(1e6, 1e9, 24)),
        cross(tokens=[4e9]),
        {"c": 2.1, "a": 60.0, "b": 0.25},
        0.004,
        outliers=1,
    ),
    Case(
        KaplanBatch(),
        cross(
            params=powers(3e6, 3e9, 5),
            tokens=powers(1e9, 1e11, 4),
            batch_tokens=powers(3e4, 8e6, 4),
        ),
        cross(params=[1e10], tokens=[4e11], batch_tokens=[2e6]),
        {
            "Nc": 6.5e13,
            "alphaN": 0.077,
            "Sc": 2.1e3,
            "alphaS": 0.76,
            "Bstar": 2.1e8,
            "alphaB": 0.21,
        },
        0.01,
        outliers=2,
    ),
    Case(
        Chinchilla(),
        cross(params=powers(3e7, 1e10, 6), ratio=powers(5, 160, 5)).with_columns(
            tokens=pl.col("params") * pl.col("ratio")
        ),
        cross(params=[7e10], tokens=[1.4e12]),
        {"E": 1.82, "A": 482.0, "B": 2085.0, "alpha": 0.348, "beta": 0.366},
        0.005,
        outliers=1,
    ),
    Case(
        Chinchilla(delta=0.02),
        cross(params=powers(3e7, 1e10, 5), tokens=powers(1e9, 1e11, 4)),
        cross(params=[7e10], tokens=[1.4e12]),
        {"E": 1.82, "A": 482.0, "B": 2085.0, "alpha": 0.348, "beta": 0.366},
        0.005,
        variant="wide",
    ),
    Case(
        Kaplan(),
        cross(params=powers(1e6, 1e9, 6), tokens=powers(1e8, 2e10, 5)),
        cross(params=[1e10], tokens=[1e12]),
        {"a": 8.8e13 ** (0.076 / 0.095), "b": 5.4e13, "ratio": 0.8, "alphaD": 0.095},
        0.005,
    ),
    Case(
        OverTraining(),
        cross(params=powers(1e7, 1e9, 6), ratio=powers(5, 640, 5)).with_columns(
            tokens=pl.col("params") * pl.col("ratio")
        ),
        cross(params=[7e9], tokens=[1.4e11]),
        {"E": 1.84, "a": 212.0, "b": 367.0, "eta": 0.136},
        0.004,
        outliers=1,
    ),
    Case(
        DataConstrained(),
        cross(
            params=powers(1e8, 4e9, 5), unique_tokens=[1e8, 1e9, 1e10], epochs=[1, 4, 16, 60]
        ).with_columns(tokens=pl.col("unique_tokens") * pl.col("epochs")),
        cross(params=[8e9], unique_tokens=[5e10], tokens=[2e11]),
        {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353, "beta": 0.353, "RD": 15.4, "RN": 5.3},
        0.004,
        outliers=1,
    ),
    Case(
        AverageParams(),
        cross(average_params=powers(3e7, 2e9, 5), tokens=powers(1e9, 1e11, 5)),
        cross(average_params=[7e9], tokens=[1e12]),
        {"E": 1.8, "A": 400.0, "B": 1500.0, "alpha": 0.34, "beta": 0.36},
        0.004,
    ),
    Case(
        WidthDepth(),
        cross(width=powers(128, 2048, 4), depth=[4, 8, 16, 32], tokens=powers(1e9, 1e11, 4)),
        cross(width=[4096], depth=[48], tokens=[1e12]),
        {"E": 1.7, "A": 60.0, "B": 1.5, "C": 900.0, "a": 0.8, "b": 1.1, "c": 0.34},
        0.004,
        outliers=1,
    ),
    Case(
        MixtureOfExperts(),
        cross(
            active_params=powers(3e7, 2e9, 4), sparsity=[1, 4, 16], tokens=powers(1e9, 1e11, 4)
        ).with_columns(total_params=pl.col("active_params") * pl.col("sparsity")),
        cross(active_params=[7e9], total_params=[5.6e10], tokens=[1e12]),
        {"E": 1.8, "A": 400.0, "B": 1500.0, "alpha": 0.34, "gamma": 0.12, "beta": 0.36},
        0.004,
        outliers=1,
    ),
    Case(
        Routing(),
        cross(params=powers(1.5e7, 1.3e9, 5), experts=[2, 8, 32, 128, 512]),
        cross(params=[7e9], experts=[64]),
        {"d": 2.9, "a": -0.082, "b": -0.108, "c": 0.009},
        0.004,
        outliers=1,
    ),
    Case(
        Power(x="flops"),
        cross(flops=powers(1e17, 1e21, 16)),
        cross(flops=[1e23]),
        {"E": 1.7, "A": 1500.0, "alpha": 0.17},
        0.003,
        variant="flops",
    ),
    Case(
        Power(x="tokens", offset=False),
        cross(tokens=powers(1e8, 1e11, 10)),
        cross(tokens=[1e12]),
        {"A": 30.0, "alpha": 0.1},
        0.005,
        variant="tokens",
    ),
    Case(
        ShiftedPower(x="tokens"),
        cross(tokens=powers(1e5, 1e9, 20)),
        cross(tokens=[1e10]),
        {"E": 1.2, "A": 200.0, "alpha": 0.4, "x0": 3e6},
        0.003,
        outliers=1,
    ),
    Case(
        BrokenPower(x="flops"),
        cross(flops=powers(1e17, 1e22, 30)),
        cross(flops=[1e23]),
        {"E": 1.0, "A": 40.0, "c0": 0.06, "c1": 0.12, "d": 3e19, "f": 0.5},
        0.001,
    ),
    Case(
        FinetunePower(),
        cross(tokens=powers(1e5, 1e8, 12)),
        cross(tokens=[1e9]),
        {"E": 1.2, "A": 40.0, "beta": 0.3},
        0.003,
    ),
    Case(
        FinetuneJoint(),
        cross(params=powers(1e8, 1.6e10, 4), tokens=powers(1e5, 1e8, 5)),
        cross(params=[6e10], tokens=[1e9]),
        {"E": 1.0, "A": 300.0, "alpha": 0.1, "beta": 0.2},
        0.004,
    ),
]
