"""Kaplan with the critical batch: the printed equations, and the designs it refuses."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError
from leadsman.laws.methods.kaplan import Kaplan
from leadsman.laws.methods.kaplan_batch import KaplanBatch, critical_batch
from leadsman.testing.planted import planted, truth_at

# Kaplan et al. 2020, tables 2, 3 and 6.
PUBLISHED = {
    "Nc": 6.5e13,
    "alphaN": 0.077,
    "Sc": 2.1e3,
    "alphaS": 0.76,
    "Bstar": 2.1e8,
    "alphaB": 0.21,
}


def settings(n=60, seed=0):
    rng = np.random.default_rng(seed)
    steps, batch = 10 ** rng.uniform(3.3, 5.3, n), 10 ** rng.uniform(4.5, 7, n)
    return pl.DataFrame(
        {"params": 10 ** rng.uniform(6, 9.5, n), "tokens": steps * batch, "batch_tokens": batch}
    )


def test_the_loss_solves_the_implicit_equation():
    runs = settings()
    loss = truth_at(KaplanBatch(), runs, PUBLISHED)
    params, tokens, batch = (runs[name].to_numpy() for name in runs.columns)
    critical = 2.1e8 / loss ** (1 / 0.21)
    fewest_steps = tokens / batch / (1 + critical / batch)
    np.testing.assert_allclose(
        (6.5e13 / params) ** 0.077 + (2.1e3 / fewest_steps) ** 0.76, loss, rtol=1e-10
    )


def test_a_batch_far_above_critical_needs_the_fewest_steps():
    runs = settings().with_columns(
        tokens=pl.col("tokens") / pl.col("batch_tokens") * 1e13, batch_tokens=pl.lit(1e13)
    )
    steps = (runs["tokens"] / runs["batch_tokens"]).to_numpy()
    expected = (6.5e13 / runs["params"].to_numpy()) ** 0.077 + (2.1e3 / steps) ** 0.76
    np.testing.assert_allclose(truth_at(KaplanBatch(), runs, PUBLISHED), expected, rtol=1e-4)


def test_critical_batch_is_found_within_its_interval():
    law = KaplanBatch()
    runs = planted(law, settings(), PUBLISHED, y="loss", noise=0.005, seed=0)
    best, drawn = critical_batch(law.fit(runs), np.array([3.0]), draws=500)
    true = 2.1e8 / 3.0 ** (1 / 0.21)
    low, high = np.quantile(drawn[:, 0], [0.005, 0.995])
    assert low < true < high
    assert best[0] == pytest.approx(true, rel=0.25)


def test_one_batch_size_is_refused():
    runs = settings().with_columns(batch_tokens=pl.lit(5e5))
    runs = runs.with_columns(loss=pl.Series(truth_at(KaplanBatch(), runs, PUBLISHED)))
    with pytest.raises(DesignError, match=r"batch_tokens is 5e\+05 in every run.*add a run"):
        KaplanBatch().fit(runs)
    assert Kaplan().fit(runs).parameters()["alphaD"] > 0
