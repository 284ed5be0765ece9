"""The error model: planted constants are learned, and level and tails hold out of sample."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import t as student

from leadsman.laws.backtest.scores import point_scores, winkler
from leadsman.laws.calibration import (
    ErrorModel,
    Origin,
    Parts,
    bundled_history,
    bundled_model,
    learn,
    past_errors,
)
from leadsman.laws.calibration.learn import LEVELS, _student_through, own_by_table
from leadsman.laws.competition import Block, law_weights, relative_errors

PLANTED = ErrorModel(level=-0.6, change_share=-1.5, growth=0.4, bias=0.5, dof=6.0)


def planted_history(sets=24, rows=30, seed=0, model=PLANTED):
    """Errors drawn from a model: each set has a bias seen at its origins and again held out."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(sets):
        size = np.exp(rng.normal(-4, 1))
        bias = rng.normal(0, 1.5)
        seen = []
        for origin in (0, 1, 2, 3, -1):
            parts = Parts(
                noise=np.full(rows, size),
                residual=np.full(rows, size),
                spread=size * rng.uniform(0.2, 2, rows),
                disagreement=size * rng.uniform(0, 2, rows),
                change=size * rng.normal(0, 10, rows),
                distance=rng.uniform(0.5, 3, rows),
            )
            scale = model.scale(parts)
            if origin >= 0:
                error = scale * np.clip(bias + 0.3 * rng.standard_normal(rows), -3, 3)
                seen.append(Origin(error, parts, 0.5))
            else:
                error = model.centre(parts, model.own([seen]))
                error = error + scale * rng.standard_t(model.dof, rows)
            frames.append(
                pl.DataFrame({"error": error, **vars(parts)}).with_columns(
                    source=pl.lit(f"s{k:02}"),
                    dataset=pl.lit(f"s{k:02}"),
                    case=pl.lit("c"),
                    group=pl.lit(0),
                    origin=pl.lit(origin),
                    share=pl.lit(0.5),
                )
            )
    return pl.concat(frames)


def coverage(model, past, level):
    """Share of held-out errors inside the central interval, data sets weighing the same."""
    scale = model.scale(past.held.parts)
    off = past.held.error / scale - model.bias * own_by_table(model, past)[past.held.table]
    inside = np.abs(off) <= student.ppf(0.5 + level / 2, model.dof)
    return float(np.average(inside, weights=past.weight))


def test_planted_constants_are_learned():
    model = learn(past_errors(planted_history(sets=60)))
    # The prior of the bias, 0.3 +- 0.2, still weighs a third; level and growth trade off.
    assert model.bias == pytest.approx(0.45, abs=0.08)
    assert model.change_share == pytest.approx(PLANTED.change_share, abs=0.25)
    assert model.level + model.growth == pytest.approx(-0.2, abs=0.2)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_intervals_of_new_data_sets_cover_at_the_nominal_rate(level):
    model = learn(past_errors(planted_history(sets=40)))
    fresh = past_errors(planted_history(sets=40, seed=1))
    # 1,200 errors: standard error 0.015 at 50 %, and that of the constants.
    assert coverage(model, fresh, level) == pytest.approx(level, abs=0.05)


def test_the_history_reads_own_errors_as_the_forecast_does():
    history = planted_history(sets=3)
    past, found = past_errors(history), []
    for table in history.partition_by("source", maintain_order=True):
        origins = [
            Origin(
                rows["error"].to_numpy(),
                Parts(*(rows[name].to_numpy() for name in Parts.__dataclass_fields__)),
                rows["share"][0],
            )
            for rows in table.filter(pl.col("origin") >= 0).partition_by("origin")
        ]
        found.append(PLANTED.own([origins]))
    np.testing.assert_allclose(own_by_table(PLANTED, past), found)


def test_a_student_t_is_found_again_from_its_quantiles():
    sizes = 0.3 * student.ppf(0.5 + np.array(LEVELS) / 2, 4.0)
    widen, dof = _student_through(sizes)
    assert np.exp(widen) == pytest.approx(0.3, rel=1e-3)
    assert dof == pytest.approx(4.0, rel=1e-2)


def parts_of(n=2, **given):
    values = {name: np.full(n, 0.01) for name in Parts.__dataclass_fields__}
    return Parts(**values | {name: np.asarray(value) for name, value in given.items()})


def test_the_scale_is_the_root_of_the_parts():
    model = replace(PLANTED, level=0.0, growth=0.5, change_share=np.log(0.5))
    scale = model.scale(parts_of(1, distance=[3.0], change=[-0.02]))
    squares = 0.01**2 + 4 * (0.01**2 + 0.01**2 + 0.01**2) + 0.001**2
    assert scale[0] == pytest.approx(np.sqrt(squares))


@pytest.mark.parametrize("part", ["residual", "spread", "disagreement", "change", "distance"])
def test_more_of_any_part_widens_the_scale(part):
    scale = bundled_model().scale(parts_of(**{part: [0.01, 0.5]}))
    assert scale[1] > scale[0]


def test_own_errors_move_the_centre_by_what_they_were_and_how_many():
    model = PLANTED
    parts = parts_of()
    once = Origin(model.scale(parts), parts, 0.5)
    assert model.own([[once]]) == pytest.approx(1 / 5)
    assert model.own([[once] * 4]) == pytest.approx(4 / 8)
    assert model.own([[], []]) == 0.0
    wild = Origin(1e3 * model.scale(parts), parts, 0.5)
    assert model.own([[wild]]) == pytest.approx(3 / 5)
    # The last origin, on all but a few of the runs, outweighs an early one.
    early = Origin(-model.scale(parts), parts, 0.25)
    assert model.own([[early, replace(once, share=1.0)]]) == pytest.approx(2 / 6, rel=1e-3)


def held_out_by_source(history):
    """Each source with the model learned from all others; relative to the truth."""
    past = past_errors(history.filter(pl.col("law") == "combined"))
    for source in dict.fromkeys(past.held.source):
        yield learn(past.where(source, other=True)), past.where(source, other=False)


def test_bundled_history_still_covers():
    """Coverage with each source left out must not get worse than what docs/backtests.md says."""
    shares = {level: [] for level in (0.5, 0.95)}
    weights = []
    for model, past in held_out_by_source(bundled_history()):
        weights.append(past.weight.sum())
        for level, found in shares.items():
            found.append(coverage(model, past, level))
    # By data set; pooled over points it is the page's own figure.
    assert 0.42 <= np.average(shares[0.5], weights=weights) <= 0.58
    assert 0.92 <= np.average(shares[0.95], weights=weights) <= 0.98


def test_overconfident_constants_would_be_noticed():
    past = past_errors(bundled_history().filter(pl.col("law") == "combined"))
    model = bundled_model()
    assert coverage(model, past, 0.95) > 0.92
    assert coverage(replace(model, level=model.level - np.log(2)), past, 0.95) < 0.9


def test_bundled_history_reproduces_the_bundled_model():
    learned = learn(past_errors(bundled_history().filter(pl.col("law") == "combined")))
    bundled = bundled_model()
    assert learned.level == pytest.approx(bundled.level, abs=0.02)
    assert learned.bias == pytest.approx(bundled.bias, abs=0.02)
    assert learned.dof == pytest.approx(bundled.dof, rel=0.05)


def test_winkler_of_a_known_interval():
    interval = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    np.testing.assert_allclose(winkler(interval, np.array([1.5, 0.9, 2.2]), 0.95), [1, 5, 9])


def test_point_scores_of_draws_around_the_truth():
    draws = np.random.default_rng(0).normal(2.0, 0.1, (4000, 3))
    scores = point_scores(draws, np.full(3, 2.0), np.array([2.0, 2.5, 2.1]))
    assert scores["in95"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(scores["error"], [0.0, -0.2, -0.1 / 2.1])


def test_the_better_predictor_gets_the_weight():
    log_y = np.zeros(5)
    log_pred = np.stack([np.full(5, 0.001), np.full(5, 0.1), np.full(5, np.nan)])
    block = Block(10, log_pred, log_pred, np.ones(3), np.ones(3), log_pred, np.ones(5), log_y)
    said = [relative_errors(block, 1.0)] * 4
    weights = law_weights(said, np.full(3, 1 / 3))
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] > 0.9
    assert said[0][2] == 0.0
    np.testing.assert_allclose(law_weights([], np.full(3, 1 / 3)), 1 / 3)
