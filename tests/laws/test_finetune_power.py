"""Fine-tuning laws: planted parameters, with noise and outliers."""

import numpy as np
import polars as pl
import pytest

from leadsman.laws.methods.finetune_power import FinetuneJoint, FinetunePower


def test_joint_law_extrapolates_in_both_directions():
    rng = np.random.default_rng(0)
    params, tokens = (
        each.ravel() for each in np.meshgrid(np.geomspace(1e8, 1e9, 5), np.geomspace(1e5, 1e7, 8))
    )

    def truth(n, d):
        return 0.9 + 500 * n**-0.15 * d**-0.2

    loss = truth(params, tokens) * np.exp(0.004 * rng.standard_normal(40))
    loss[[3, 17]] *= 1.15
    fitted = FinetuneJoint().fit(
        pl.DataFrame({"params": params, "tokens": tokens, "loss": loss}), seed=0
    )
    low, high = fitted.predict(pl.DataFrame({"params": [1e10], "tokens": [1e8]})).interval(0.99)[0]
    assert low < truth(1e10, 1e8) < high


def test_plain_law_is_exact_without_noise():
    tokens = np.geomspace(1e5, 1e8, 12)
    runs = pl.DataFrame({"tokens": tokens, "loss": 1.1 + 30 * tokens**-0.25})
    found = FinetunePower().fit(runs).parameters()
    assert found == pytest.approx({"E": 1.1, "A": 30.0, "beta": 0.25}, rel=1e-3)
