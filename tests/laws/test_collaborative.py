"""Collaborative prediction on a planted low-rank table with hidden cells and hidden models."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.methods.collaborative import Collaborative


def table(seed=0, models=40, tasks=15):
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(1e8), np.log(1e11), models))
    ability = np.stack([(np.log(size) - np.log(3e9)) / 1.5, rng.standard_normal(models)], axis=1)
    loading = np.stack([rng.uniform(0.5, 1.2, tasks), rng.normal(0, 0.4, tasks)], axis=1)
    clean = ability @ loading.T + rng.normal(0, 1, tasks)
    score = 1 / (1 + np.exp(-(clean + 0.1 * rng.standard_normal(clean.shape))))
    rows = [
        {"model": f"m{m}", "task": f"t{t}", "params": size[m], "score": score[m, t]}
        for m in range(models)
        for t in range(tasks)
    ]
    return pl.DataFrame(rows), rng


@pytest.fixture(scope="module")
def split():
    frame, rng = table()
    hidden = rng.random(len(frame)) < 0.5
    new = frame["model"].is_in(["m0", "m1", "m2"]).to_numpy()
    law = Collaborative(rank=2, factors=["params"], burn_in=150, kept=200)
    return law.fit(frame.filter(~hidden & ~new), seed=0), frame, hidden, new


def test_hidden_cells_are_predicted_better_than_by_task_means(split):
    fitted, frame, hidden, new = split
    cells = frame.filter(hidden & ~new)
    known = frame.filter(~hidden & ~new).group_by("task").agg(pl.col("score").mean().alias("mean"))
    plain = cells.join(known, on="task", maintain_order="left")["mean"].to_numpy()
    truth = cells["score"].to_numpy()
    ours = np.abs(fitted.curve(cells) - truth).mean()
    assert ours < 0.25 * np.abs(plain - truth).mean()
    # Scatter of 0.1 on the logit is at most 0.025 in score; parameters add a little.
    assert ours < 0.035


def test_intervals_cover_hidden_cells_and_untested_models(split):
    fitted, frame, hidden, new = split
    for cells, tolerance in ((frame.filter(hidden & ~new), 0.06), (frame.filter(new), 0.2)):
        bounds = fitted.predict(cells, seed=0).interval(0.9)
        truth = cells["score"].to_numpy()
        inside = np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1]))
        assert inside > 0.9 - tolerance


def test_an_untested_model_is_known_by_its_size_and_says_so(split):
    fitted, *_ = split
    points = pl.DataFrame({"model": ["s", "l"], "task": ["t0", "t0"], "params": [2e8, 8e10]})
    forecast = fitted.predict(points)
    assert forecast.mean[0] < forecast.mean[1]
    assert "never tested" in forecast.warnings[0][0]
    tested = fitted.predict(pl.DataFrame({"model": ["m5"], "task": ["t0"], "params": [1e9]}))
    assert np.ptp(forecast.interval(0.9)[0]) > np.ptp(tested.interval(0.9)[0])


def test_unknown_tasks_and_tiny_tables_are_refused(split):
    fitted, frame, *_ = split
    with pytest.raises(InputError, match="never seen"):
        fitted.predict(pl.DataFrame({"model": ["m0"], "task": ["chess"]}))
    with pytest.raises(DesignError, match="three models"):
        Collaborative().fit(frame.filter(pl.col("model").is_in(["m0", "m1"])))
