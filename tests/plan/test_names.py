"""Beliefs over named things and over the rest of a run, against closed forms and planted worlds."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError
from leadsman.plan.decision.early import EarlyBelief
from leadsman.plan.decision.quality import QualityBelief


def test_posterior_is_the_normal_closed_form():
    rng = np.random.default_rng(0)
    names = [f"d{k}" for k in range(30)]
    rows = [
        {"name": name, "params": 1e8, "y": float(k + noise)}
        for k, name in enumerate(names)
        for noise in 2.0 * rng.standard_normal(3)
    ]
    belief = QualityBelief(pl.DataFrame(rows), worlds=20_000)
    frame = pl.DataFrame(rows).group_by("name").agg(pl.col("y").mean(), v=pl.col("y").var())
    # the variance of three repeats: a median of ln 4 on two degrees of freedom
    noise = frame["v"].median() * 2 / np.log(4) / frame["y"].std() ** 2
    z = (frame["y"] - frame["y"].mean()) / frame["y"].std()
    signal = 1 - noise / 3  # of the scatter of means, what noise does not take
    shrunk = z / np.sqrt(signal) / (1 + noise / 3 / signal)
    expected = dict(zip(frame["name"], shrunk, strict=True))
    draws = belief.draws(pl.DataFrame({"name": names}))
    assert belief.mean == pytest.approx([expected[name] for name in belief.names])
    assert draws.std(axis=0) == pytest.approx(np.sqrt(1 - 1 / (1 + noise / 3 / signal)), rel=0.03)


def test_choices_by_shrunk_quality_lose_less_than_by_the_best_single_result():
    """Half of the things were run once, half five times: luck must not beat evidence."""
    lost = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        quality = rng.standard_normal(20)
        rows = [
            {"name": f"d{k}", "params": 1e8, "y": float(quality[k] + 1.5 * rng.standard_normal())}
            for k in range(20)
            for _ in range(1 if k % 2 else 5)
        ]
        frame = pl.DataFrame(rows)
        belief = QualityBelief(frame)
        names = [f"d{k}" for k in range(20)]
        ours = belief.draws(pl.DataFrame({"name": names})).mean(axis=0).argmin()
        lucky = int(frame.row(int(frame["y"].arg_min()), named=True)["name"][1:])
        lost.append([quality[ours] - quality.min(), quality[lucky] - quality.min()])
    ours, lucky = np.mean(lost, axis=0)
    assert ours < 0.75 * lucky


def test_a_size_far_below_says_little_where_the_order_changes_with_size():
    """Planted drift: neighbours in size agree by 0.9 a factor of e, the target is e above."""
    lost, reaches = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        logs = np.array([-4.0, -3.5, 0.0, 1.0])
        root = np.linalg.cholesky(np.exp(-np.abs(logs[:, None] - logs) / 3))
        quality = root @ rng.standard_normal((4, 40))
        rows = [
            {"name": f"d{k}", "params": float(np.exp(18 + logs[j])), "y": quality[j, k]
             + 0.4 * rng.standard_normal()}
            for j in range(3) for k in range(40) for _ in range(2)
        ]  # fmt: skip
        names = pl.DataFrame({"name": [f"d{k}" for k in range(40)]})
        belief = QualityBelief(pl.DataFrame(rows), at=float(np.exp(19)))
        flat = pl.DataFrame(rows).group_by("name").agg(pl.col("y").mean()).sort("y")
        ours = int(belief.draws(names).mean(axis=0).argmin())
        all_alike = int(flat["name"][0][1:])
        lost.append([quality[3, ours], quality[3, all_alike]] - quality[3].min())
        reaches.append(belief.reach)
    ours, all_alike = np.mean(lost, axis=0)
    assert ours < 0.8 * all_alike
    assert 1.5 < np.median(reaches) < 6


def test_two_names_cannot_be_ranked():
    runs = pl.DataFrame({"name": ["a", "b"], "params": [1e8, 1e8], "y": [1.0, 2.0]})
    with pytest.raises(DesignError, match="at least three names"):
        QualityBelief(runs)


def test_early_loss_leads_to_final_score_through_a_bend():
    rng = np.random.default_rng(0)
    loss = rng.uniform(0.6, 1.4, 60)
    score = 0.5 / (1 + np.exp(12 * (loss - 0.9))) + 0.01 * rng.standard_normal(60)
    runs = pl.DataFrame({"loss": loss, "score": score})
    belief = EarlyBelief(runs[:40], ["loss"], y="score", worlds=400)
    draws = belief.draws(runs[40:])
    truth = 0.5 / (1 + np.exp(12 * (loss[40:] - 0.9)))
    assert np.abs(draws.mean(axis=0) - truth).max() < 0.03
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    inside = ((score[40:] >= low) & (score[40:] <= high)).mean()
    assert 0.75 <= inside <= 1.0
    with pytest.raises(DesignError, match="3 finished runs are too few"):
        EarlyBelief(runs[:3], ["loss"], y="score")
