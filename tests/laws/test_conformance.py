"""Every power-sum law keeps the promises of a law."""

import numpy as np
import polars as pl
import pytest

from leadsman.laws.methods.broken_power import BrokenPower
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.laws.methods.data_constrained import DataConstrained
from leadsman.laws.methods.kaplan import Kaplan
from leadsman.laws.methods.mixture_of_experts import MixtureOfExperts, Routing
from leadsman.laws.methods.over_training import OverTraining
from leadsman.laws.methods.power import Power
from leadsman.laws.methods.shifted_power import ShiftedPower
from leadsman.testing.laws import check_law


def table():
    rng = np.random.default_rng(0)
    params = 10 ** rng.uniform(7, 9.5, 40)
    tokens = params * 10 ** rng.uniform(0.5, 2, 40)
    unique = tokens / rng.choice([1.0, 2.0, 5.0], 40)
    experts = rng.choice([1.0, 4.0, 16.0], 40)
    loss = 1.7 + 400 / params**0.34 / experts**0.1 + 1500 / unique**0.36
    return pl.DataFrame(
        {
            "params": params,
            "tokens": tokens,
            "unique_tokens": unique,
            "experts": experts,
            "flops": 6 * params * tokens,
            "loss": loss * np.exp(0.01 * rng.standard_normal(40)),
        }
    )


LAWS = [
    Chinchilla(),
    Kaplan(),
    OverTraining(),
    DataConstrained(),
    MixtureOfExperts(),
    Routing(),
    Power(x="flops"),
    Power(x="tokens", offset=False),
    ShiftedPower(),
    BrokenPower(),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_law_keeps_its_promises(law):
    runs = table()
    check_law(law, runs, runs.head(5))
