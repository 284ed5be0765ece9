"""RegMix: the order of unseen mixtures under a planted loss, and intervals that hold."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from leadsman.errors import DesignError, InputError, MethodError
from leadsman.laws.methods.regmix import RegMix


def mixtures(n, seed):
    shares = np.random.default_rng(seed).dirichlet(np.full(5, 0.7), n)
    return pl.DataFrame({f"mix.{name}": shares[:, i] for i, name in enumerate("abcde")})


def truth(frame):
    """A saturating gain from source a, and an interaction of b with c that no line can follow."""
    a, b, c = (frame[f"mix.{name}"].to_numpy() for name in "abc")
    return 3.0 - 0.8 * a / (a + 0.1) - 1.5 * np.sqrt(b * c) + 0.3 * b


@pytest.fixture(scope="module")
def fitted():
    runs, rng = mixtures(400, 0), np.random.default_rng(1)
    loss = truth(runs) * np.exp(0.003 * rng.standard_normal(400))
    return RegMix(ensemble=5, rounds=150).fit(runs.with_columns(loss=pl.Series(loss)), seed=0)


def test_unseen_mixtures_are_ranked_as_planted(fitted):
    new = mixtures(200, 2)
    assert spearmanr(fitted.curve(new), truth(new))[0] > 0.97


def test_intervals_cover_new_runs_at_about_their_level(fitted):
    new, rng = mixtures(300, 3), np.random.default_rng(4)
    loss = truth(new) * np.exp(0.003 * rng.standard_normal(300))
    bounds = fitted.predict(new, seed=0).interval(0.9)
    inside = np.mean((bounds[:, 0] <= loss) & (loss <= bounds[:, 1]))
    # Three standard errors of 300 trials at 0.9 are 0.05; errors of trees are not normal.
    assert 0.83 < inside < 0.99


def test_too_few_runs_point_to_the_smooth_law():
    with pytest.raises(DesignError, match="exponential-mixing"):
        RegMix().fit(mixtures(10, 0).with_columns(loss=pl.lit(2.0)))


def test_points_must_have_the_same_sources(fitted):
    with pytest.raises(InputError, match=r"mix\.e"):
        fitted.predict(mixtures(3, 0).drop("mix.e"))


def test_hyperparameters_are_checked():
    with pytest.raises(MethodError, match="learning_rate"):
        RegMix(learning_rate=0.0)
