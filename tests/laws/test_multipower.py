"""The multi-power law against its own definition step by step, and on planted curves."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.methods.multipower import MultiPower

TRUE = {"L_0": 2.6, "A": 0.6, "alpha": 0.45, "B": 450.0, "C": 1.3, "beta": 0.52, "gamma": 0.55}
WARMUP, PEAK = 200, 3e-4


def reference(lr_each_step, steps):
    """The equation as printed, one step at a time, from lr[0] = 0 at step 0."""
    lr = np.concatenate([[0.0], lr_each_step])
    total = np.cumsum(lr)
    losses = []
    for t in steps:
        k = np.arange(1, t + 1)
        changed = lr[k] != lr[k - 1]
        k = k[changed]
        reach = TRUE["C"] * lr[k] ** -TRUE["gamma"] * (total[t] - total[k - 1])
        gain = TRUE["B"] * np.sum((lr[k - 1] - lr[k]) * (1 - (1 + reach) ** -TRUE["beta"]))
        losses.append(TRUE["L_0"] + TRUE["A"] * total[t] ** -TRUE["alpha"] - gain)
    return np.array(losses)


def schedule(kind, steps):
    rise = PEAK * np.arange(1, WARMUP + 1) / WARMUP
    u = np.linspace(0, 1, steps - WARMUP)
    after = {
        "constant": np.full_like(u, PEAK),
        "cosine": PEAK * (0.55 + 0.45 * np.cos(np.pi * u)),
        "drop": np.where(np.arange(len(u)) < 2000, PEAK, 0.3 * PEAK),
        "wsd": PEAK * np.where(u < 0.8, 1.0, 0.1 ** ((u - 0.8) / 0.2)),
    }[kind]
    return np.concatenate([rise, after])


def curve(kind, steps=5000, every=50, noise=0.0, seed=0):
    lr = schedule(kind, steps)
    at = np.arange(WARMUP, steps + 1, every)
    loss = reference(lr, at)
    loss = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(at)))
    return pl.DataFrame({"step": at, "lr": lr[at - 1], "loss": loss, "run": [kind] * len(at)})


@pytest.fixture(scope="module")
def fitted():
    kinds = ("constant", "cosine", "drop")
    curves = [curve(kind, noise=3e-4, seed=i) for i, kind in enumerate(kinds)]
    return MultiPower().fit(pl.concat(curves), seed=0)


def test_an_unseen_schedule_is_predicted_within_a_tenth_of_a_percent(fitted):
    unseen = curve("wsd", steps=7000)
    error = fitted.curve(unseen) / unseen["loss"].to_numpy() - 1
    assert np.abs(error).max() < 1e-3


def test_intervals_of_an_unseen_schedule_contain_its_new_losses(fitted):
    unseen = curve("wsd", steps=7000, noise=3e-4, seed=9)
    bounds = fitted.predict(unseen, draws=400, seed=0).interval(0.95)
    loss = unseen["loss"].to_numpy()
    inside = np.mean((bounds[:, 0] <= loss) & (loss <= bounds[:, 1]))
    # Rows of one curve are not independent; 0.8 is far above what a wrong scale would give.
    assert inside > 0.8


def test_sparse_rows_agree_with_the_sum_over_every_step(fitted):
    fine, coarse = curve("cosine", every=10), curve("cosine", every=100)
    there = fine["step"].is_in(coarse["step"].to_list())
    np.testing.assert_allclose(
        fitted.curve(fine.filter(there)), fitted.curve(fine)[there.to_numpy()], rtol=3e-4
    )
    np.testing.assert_allclose(fitted.curve(coarse), coarse["loss"].to_numpy(), rtol=1.5e-3)


def test_runs_without_a_falling_rate_are_refused():
    with pytest.raises(DesignError, match="falls"):
        MultiPower().fit(curve("constant"))


def test_steps_out_of_order_are_named():
    with pytest.raises(InputError, match="increase"):
        MultiPower().fit(curve("cosine").reverse())
