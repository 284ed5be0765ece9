"""Planted truths of the laws that are sums of powers."""

from __future__ import annotations

import polars as pl

from leadsman.laws.methods.average_params import AverageParams
from leadsman.laws.methods.broken_power import BrokenPower
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.laws.methods.data_constrained import DataConstrained
from leadsman.laws.methods.finetune_power import FinetuneJoint, FinetunePower
from leadsman.laws.methods.kaplan import Kaplan
from leadsman.laws.methods.mixture_of_experts import MixtureOfExperts, Routing
from leadsman.laws.methods.mixture_scaling import MixtureScaling
from leadsman.laws.methods.over_training import OverTraining
from leadsman.laws.methods.overtraining_harm import OvertrainingHarm
from leadsman.laws.methods.power import Power
from leadsman.laws.methods.shifted_power import ShiftedPower
from leadsman.laws.methods.width_depth import WidthDepth
from leadsman.testing.planted_cases.case import Case, cross, dirichlet, powers

SOURCES = ("mix.a", "mix.b", "mix.c", "mix.d")
SHARES = {"t.a": -0.8, "t.b": 0.6, "t.c": 0.2}

POWER_SUMS = [
    Case(
        OvertrainingHarm(),
        cross(tokens=powers(5e10, 3e12, 24)),
        cross(tokens=[5e12]),
        {"E": 1.8, "A": 1500.0, "alpha": 0.32, "H": 3e-10, "beta": 0.7},
        0.002,
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
        MixtureScaling(coupling="factor").of_sources(SOURCES),
        dirichlet(60, 7).with_columns(
            params=pl.Series(powers(3e7, 2e9, 6) * 10), tokens=pl.Series(powers(1e9, 1e11, 5) * 12)
        ),
        dirichlet(3, 8).with_columns(params=pl.lit(1e10), tokens=pl.lit(2e11)),
        {"E": 1.8, "A": 400.0, "B": 1500.0, "alpha": 0.34, "beta": 0.36, **SHARES},
        0.004,
        outliers=1,
        variant="factor",
    ),
    Case(
        MixtureScaling(x=("flops",)).of_sources(SOURCES),
        dirichlet(60, 7).with_columns(flops=pl.Series(powers(1e17, 1e21, 12) * 5)),
        dirichlet(3, 8).with_columns(flops=pl.lit(1e22)),
        {"E": 1.4, "M": 0.5, "C": 1500.0, "gamma": 0.17, **SHARES},
        0.002,
        outliers=1,
        variant="offset",
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
