"""Capability space: a planted low-dimensional world, its hidden task, and models known by size."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.methods.capability_space import CapabilitySpace


def world(seed=0, models=60):
    rng = np.random.default_rng(seed)
    family = rng.integers(0, 4, models)
    flops = 10 ** rng.uniform(20, 25, models)
    general = (np.log10(flops) - 22.5) * np.array([0.8, 0.6, 1.0, 0.7])[family]
    code = 0.4 * (np.log10(flops) - 22.5) * np.array([1.0, -0.5, 0.2, 0.8])[family]
    ability = np.stack([general, code], axis=1) + 0.05 * rng.standard_normal((models, 2))
    loading = np.array([[1.0, 0.1], [0.8, -0.2], [0.6, 0.5], [0.9, 0.9], [0.5, -0.4]])
    logits = ability @ loading.T + np.array([0.3, -0.2, 0.0, -0.8, 0.5])
    logits += 0.03 * rng.standard_normal(logits.shape)
    hidden = ability @ np.array([1.2, 1.0]) - 2.0 + 0.05 * rng.standard_normal(models)
    frame = pl.DataFrame({f"score.b{i}": 1 / (1 + np.exp(-logits[:, i])) for i in range(5)})
    return frame.with_columns(
        pl.Series("family", [f"f{each}" for each in family]),
        pl.Series("flops", flops),
        pl.Series("score.hidden", 1 / (1 + np.exp(-hidden))),
    )


def test_large_models_are_predicted_from_small_ones():
    frame = world().sort("flops")
    fitted = CapabilitySpace(components=2).fit(frame[:45], y="score.hidden")
    truth = frame[45:]["score.hidden"].to_numpy()
    forecast = fitted.predict(frame[45:].drop("score.hidden"), seed=0)
    assert np.abs(fitted.curve(frame[45:]) - truth).mean() < 0.04
    bounds = forecast.interval(0.9)
    assert np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])) > 0.7


def test_components_agree_with_a_plain_svd_on_a_full_table():
    frame = world()
    fitted = CapabilitySpace(components=2).fit(frame, y="score.hidden")
    table = np.log(
        (values := frame.select([f"score.b{i}" for i in range(5)]).to_numpy()) / (1 - values)
    )
    table = np.clip(table, np.log(0.01 / 0.99), np.log(0.99 / 0.01))
    axes = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)[2][:2]
    np.testing.assert_allclose(np.abs(fitted.space.axes @ axes.T), np.eye(2), atol=1e-6)


def test_empty_cells_barely_move_the_answer():
    frame = world()
    rng = np.random.default_rng(1)
    holes = frame.with_columns(
        pl.when(pl.Series(rng.random(len(frame)) < 0.2))
        .then(None)
        .otherwise(pl.col(f"score.b{i}"))
        .alias(f"score.b{i}")
        for i in (1, 3)
    )
    law = CapabilitySpace(components=2)
    full = law.fit(frame, y="score.hidden").curve(frame)
    some = law.fit(holes, y="score.hidden").curve(holes)
    assert np.abs(full - some).mean() < 0.03


def test_a_model_without_benchmarks_is_placed_by_family_and_compute():
    frame = world()
    fitted = CapabilitySpace(components=2).fit(frame, y="score.hidden")
    points = pl.DataFrame({"family": ["f0", "f1"], "flops": [1e25, 1e25]})
    forecast = fitted.predict(points)
    expected = 1 / (1 + np.exp(-(1.2 * 2.5 * 0.8 + 0.4 * 2.5 - 2)))
    low, high = forecast.interval(0.95)[0]
    assert low < expected < high
    assert forecast.mean[0] > forecast.mean[1] + 0.2
    assert "family" in forecast.warnings[0][0]
    with pytest.raises(InputError, match="f9"):
        fitted.predict(points.with_columns(pl.lit("f9").alias("family")))


def test_too_few_models_and_no_benchmarks_are_refused():
    with pytest.raises(DesignError, match="6 models"):
        CapabilitySpace().fit(world()[:4], y="score.hidden")
    with pytest.raises(InputError, match="benchmark"):
        CapabilitySpace().fit(world().select("score.hidden"), y="score.hidden")
