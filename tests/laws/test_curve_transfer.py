"""Curve transfer: runs of unseen methods, against leaving groups out one by one."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import DesignError, InputError
from leadsman.laws.methods.curve_transfer import CurveTransfer, _kernel, _left_out, early_part


def runs(seed=0, methods=30):
    """Curves c + a t^-b; the final score depends on where the loss ends, not on the method."""
    rng, rows = np.random.default_rng(seed), []
    for method in range(methods):
        c, a, b = rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.9)
        for repeat in range(3):
            loss = c + a * np.arange(1, 21) ** -b + 0.003 * rng.standard_normal(20)
            score = np.clip(0.9 - 0.7 * (c + a * 20**-b) + 0.01 * rng.standard_normal(), 0, 1)
            rows += [
                {"run": f"{method}.{repeat}", "group": f"g{method}", "step": 250 * (t + 1)}
                | {"loss": loss[t], "score": score}
                for t in range(20)
            ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def table():
    curves = runs()
    final = curves.group_by("run", maintain_order=True).agg(
        pl.col("group").first(), pl.col("score").first()
    )
    return early_part(curves, columns=("loss",), until=1000).join(final, on="run")


def test_unseen_methods_are_predicted_within_a_few_points_and_within_intervals(table):
    seen = table["group"].is_in([f"g{i}" for i in range(22)])
    fitted = CurveTransfer().fit(table.filter(seen), y="score")
    new = table.filter(~seen)
    truth = new["score"].to_numpy()
    assert np.sqrt(np.mean((fitted.curve(new) - truth) ** 2)) < 0.4 * truth.std()
    bounds = fitted.predict(new, seed=0).interval(0.9)
    assert np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])) > 0.7


def test_closed_form_of_leaving_a_group_out_agrees_with_doing_it():
    rng = np.random.default_rng(1)
    x, off, groups = rng.standard_normal((12, 3)), rng.standard_normal(12), np.arange(12) // 3
    kernel, noise = _kernel(x, x, 0.5), np.full(12, 0.1)
    wrong = _left_out(kernel, off, groups, noise)[1]
    for group in range(4):
        out = groups == group
        inside = kernel[np.ix_(~out, ~out)] + 0.1 * np.eye(9)
        mean = kernel[np.ix_(out, ~out)] @ np.linalg.solve(inside, off[~out])
        np.testing.assert_allclose(wrong[out], off[out] - mean, rtol=1e-6)


def test_runs_unlike_any_seen_get_wider_intervals(table):
    fitted = CurveTransfer().fit(table, y="score")
    early = [name for name in table.columns if name.startswith("early.")]
    usual = table[:1].select(early)
    strange = usual.with_columns(pl.col(early) * 5)
    draws = [fitted.curve_draws(each, draws=400, seed=0).std() for each in (usual, strange)]
    assert draws[1] > 2 * draws[0] or fitted.curve(strange)[0] == 0.0


def test_what_cannot_be_learned_from_is_refused(table):
    with pytest.raises(InputError, match="early"):
        CurveTransfer().fit(table.select("group", "score"), y="score")
    with pytest.raises(DesignError, match="groups"):
        CurveTransfer().fit(table.with_columns(pl.lit("one").alias("group")), y="score")
    holes = runs(methods=2)[1:]
    with pytest.raises(InputError, match="same positions"):
        early_part(holes, columns=("loss",), until=1000)
