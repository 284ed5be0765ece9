"""Planted truths of the laws that give a score in [0, 1]."""

from __future__ import annotations

import numpy as np
import polars as pl

from leadsman.laws.methods.compute_gain import ComputeGain
from leadsman.laws.methods.compute_sigmoid import ComputeSigmoid
from leadsman.laws.methods.density import Density
from leadsman.laws.methods.fact_frequency import FactFrequency
from leadsman.laws.methods.loss_threshold import LossThreshold
from leadsman.laws.methods.loss_to_error import LossToError
from leadsman.laws.methods.loss_to_score import LossToScore
from leadsman.laws.methods.pass_until import PassUntil
from leadsman.testing.planted_cases.case import Case, cross, powers

SCORES = [
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
        ComputeGain(chance=0.1),
        cross(flops=powers(1e20, 1e24, 10), method=["plain", "few-shot", "tools"]),
        cross(flops=[3e24], method=["tools"]),
        {"k": 1.2, "h": 23.0, "gain.few-shot": 4.0, "gain.tools": 20.0},
        0.02,
        bound={"methods_": ("plain", "few-shot", "tools")},
    ),
    Case(
        FactFrequency(),
        cross(documents=[0, 1, 5, 20, 100, 1000, 10000], params=powers(1e8, 1e10, 4)),
        cross(documents=[50], params=[1e11]),
        {"a": -1.0, "b": 0.35, "c": 0.4, "d": 0.05},
        0.01,
    ),
    Case(
        PassUntil(),
        cross(params=powers(3e7, 1.5e9, 10)),
        cross(params=[2.4e9]),
        {"c": 300.0, "alpha": 0.22},
        0.03,
    ),
]
