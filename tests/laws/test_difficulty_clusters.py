"""Difficulty clusters: planted groups of items, of which one never emerges."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.methods.difficulty_clusters import DifficultyClusters

GROUPS = {"easy": 20.5, "middle": 22.0, "late": 23.0}


def rate(group, log_flops):
    if group == "never":
        return np.zeros_like(log_flops)
    return 1 / (1 + np.exp(-1.5 * (log_flops - GROUPS[group])))


def benchmark(flops, seed=0, samples=200):
    rng, rows = np.random.default_rng(seed), []
    for group in (*GROUPS, "never"):
        for index in range(30):
            shift = 0.1 * rng.standard_normal()
            for each in flops:
                p = rate(group, np.log10(each) - shift)
                rows.append(
                    {
                        "flops": each,
                        "item": f"{group}{index}",
                        "score": rng.binomial(samples, p) / samples,
                    }
                )
    return pl.DataFrame(rows)


def truth(log_flops):
    return np.mean([rate(group, np.array(log_flops)) for group in (*GROUPS, "never")])


@pytest.fixture(scope="module")
def fitted():
    return DifficultyClusters().fit(benchmark(np.geomspace(1e20, 1e22, 8)), seed=0)


def test_items_that_never_emerge_are_left_out(fitted):
    assert not fitted.kept[-30:].any()
    assert fitted.kept[:60].all()


def test_the_whole_benchmark_is_forecast_an_order_of_magnitude_ahead(fitted):
    points = pl.DataFrame({"flops": [1e22, 1e23]})
    assert fitted.curve(points) == pytest.approx([truth(22), truth(23)], abs=0.04)
    bounds = fitted.predict(points, seed=0).interval(0.99)
    assert bounds[0, 0] - 0.01 <= truth(22) <= bounds[0, 1] + 0.01
    assert bounds.min() >= 0
    assert bounds.max() <= 1


def test_clusters_do_not_mix_the_planted_groups(fitted):
    for group in range(3):
        labels = fitted.labels[30 * group : 30 * group + 30]
        others = np.delete(fitted.labels, np.arange(30 * group, 30 * group + 30))
        assert not set(labels[:5]) & set(others) or group == 2


def test_missing_items_and_flat_benchmarks_are_refused():
    runs = benchmark(np.geomspace(1e20, 1e22, 6))
    with pytest.raises(InputError, match="lacks item"):
        DifficultyClusters().fit(runs[1:])
    with pytest.raises(DesignError, match="no cluster"):
        DifficultyClusters().fit(runs.with_columns(score=pl.lit(0.0)))
