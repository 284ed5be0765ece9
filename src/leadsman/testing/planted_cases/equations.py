"""Planted truths of the laws that are one equation and give a loss or another positive quantity."""

from __future__ import annotations

import numpy as np

from leadsman.laws.methods.algorithmic_progress import AlgorithmicProgress
from leadsman.laws.methods.densing import Densing
from leadsman.laws.methods.exponential_mixing import ExponentialMixing
from leadsman.laws.methods.kaplan_batch import KaplanBatch
from leadsman.laws.methods.knowledge_capacity import KnowledgeCapacity
from leadsman.laws.methods.learning_curve import LearningCurve
from leadsman.laws.methods.loss_to_loss import LossToLoss
from leadsman.laws.methods.power_lr import PowerLR
from leadsman.laws.methods.rectified import Rectified
from leadsman.laws.methods.step_law import StepLaw
from leadsman.testing.planted_cases.case import Case, cross, dirichlet, powers

EQUATIONS = [
    Case(
        Rectified(),
        cross(tokens=[0.0, *powers(200, 204800, 11)]),
        cross(tokens=[1638400.0]),
        {"E": 1.0, "B": 300.0, "D_l": 120.0, "beta": 0.5},
        0.004,
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
        Densing(frontier=False),
        cross(year=np.linspace(2023.0, 2024.9, 20)),
        cross(year=[2025.5]),
        {"a": -0.4, "g": 2.4},
        0.2,
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
]
