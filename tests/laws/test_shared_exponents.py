"""Exponents shared by groups: the joint fit against an independent search, and in competition."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from leadsman.errors import DesignError
from leadsman.laws import forecast_runs
from leadsman.laws.competition.candidates import competing
from leadsman.laws.fitting.shared_exponents import Group, SharedFit, can_share
from leadsman.laws.forecasting import combine, gather_series, weigh
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.laws.methods.kaplan import Kaplan
from leadsman.laws.methods.power import Power

TRUTHS = {"web": (1.8, 30.0, 500.0), "books": (2.0, 20.0, 300.0), "code": (1.2, 40.0, 400.0)}
ALPHA, BETA = 0.30, 0.36


def chinchilla_groups(noise=0.0, seed=0):
    """Four runs a group: fewer than the five parameters of the law."""
    rng = np.random.default_rng(seed)
    groups = {}
    for name, (e, a, b) in TRUTHS.items():
        params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), 4))
        tokens = params * np.exp(rng.uniform(np.log(5), np.log(300), 4))
        loss = e + a / params**ALPHA + b / tokens**BETA
        loss *= np.exp(noise * rng.standard_normal(4))
        runs = pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})
        groups[name] = Group(runs, np.ones(4))
    return groups


def test_exact_truth_is_found_from_fewer_runs_a_group_than_the_law_has_parameters():
    groups = chinchilla_groups()
    with pytest.raises(DesignError):
        Chinchilla().fit(groups["web"].runs)
    joint = SharedFit(Chinchilla(), groups, y="loss")
    for name, truth in TRUTHS.items():
        found = joint.of(name).parameters()
        assert [found[k] for k in ("E", "A", "B")] == pytest.approx(truth, rel=1e-3)
        assert (found["alpha"], found["beta"]) == pytest.approx((ALPHA, BETA), rel=1e-4)
        np.testing.assert_allclose(
            joint.of(name).curve(groups[name].runs), groups[name].runs["loss"], rtol=1e-6
        )


def huber_sum(vector, groups, delta):
    """The objective written out: each group's amplitudes, then alpha and beta."""
    *amplitudes, alpha, beta = vector
    total = 0.0
    for k, group in enumerate(groups.values()):
        e, a, b = amplitudes[3 * k : 3 * k + 3]
        params, tokens, loss = (np.log(group.runs[name]) for name in ("params", "tokens", "loss"))
        curve = np.logaddexp(e, np.logaddexp(a - alpha * params, b - beta * tokens))
        size = np.abs(curve - loss)
        huber = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
        total += float(group.weights @ huber)
    return total


def test_no_general_search_finds_a_better_optimum():
    delta, groups = 0.03, chinchilla_groups(noise=0.01, seed=3)
    joint = SharedFit(Chinchilla(delta=delta), groups, y="loss")
    truth = [np.log(value) for values in TRUTHS.values() for value in values]
    found = minimize(
        lambda vector: 1e4 * huber_sum(vector, groups, delta), [*truth, ALPHA, BETA], method="BFGS"
    )
    assert 1e4 * huber_sum(joint.theta, groups, delta) <= found.fun * (1 + 1e-4)


def test_two_equal_groups_have_the_fit_of_one():
    runs = pl.DataFrame({"tokens": np.geomspace(1e6, 1e9, 9)})
    rng = np.random.default_rng(1)
    runs = runs.with_columns(
        loss=(1.5 + 30 / pl.col("tokens") ** 0.25) * np.exp(0.01 * rng.standard_normal(9))
    )
    law = Power(x="tokens", delta=0.03)
    alone = law.fit(runs).parameters()
    joint = SharedFit(law, {name: Group(runs, np.ones(9)) for name in "ab"}, y="loss")
    for name in "ab":
        assert joint.of(name).parameters() == pytest.approx(alone, rel=1e-4)


def test_parameter_draws_scatter_about_as_much_as_refits_to_new_noise():
    """Shared exponents over 60 new tables against the spread one table claims."""
    law, claimed, came = Power(x="tokens", delta=0.03), [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        groups = {}
        for k in range(4):
            tokens = np.geomspace(1e6, 1e9, 6)
            loss = (1 + 0.2 * k) + 30 / tokens**0.25
            loss *= np.exp(0.01 * rng.standard_normal(6))
            groups[k] = Group(pl.DataFrame({"tokens": tokens, "loss": loss}), np.ones(6))
        joint = SharedFit(law, groups, y="loss", seed=seed)
        came.append(joint.of(0).parameters()["alpha"])
        claimed.append(joint.of(0).parameter_draws(draws=40)["alpha"].std())
    # A bootstrap of six runs a group is too narrow by some; it must not be off by a factor.
    assert 0.5 < np.median(claimed) / np.std(came) < 1.5


def test_groups_that_cannot_be_fitted_are_named_and_left_out():
    groups = chinchilla_groups(noise=0.01)
    groups["few"] = Group(groups["web"].runs.head(2), np.ones(2))
    joint = SharedFit(Chinchilla(), groups, y="loss")
    assert set(joint.names) == set(TRUTHS)
    with pytest.raises(DesignError, match="2 distinct settings cannot show 3 amplitudes"):
        joint.of("few")
    with pytest.raises(DesignError, match="1 can be fitted"):
        SharedFit(Chinchilla(), {name: groups[name] for name in ("web", "few")}, y="loss")


def test_one_ratio_in_every_group_is_refused():
    groups = {
        k: Group(
            pl.DataFrame({"params": np.geomspace(1e7, 1e9, 6)}).with_columns(
                tokens=pl.col("params") * ratio, loss=1 + 30 / pl.col("params") ** 0.3
            ),
            np.ones(6),
        )
        for k, ratio in enumerate((20.0, 40.0))
    }
    with pytest.raises(DesignError, match="change only together"):
        SharedFit(Chinchilla(), groups, y="loss")


def test_only_laws_without_a_grid_can_share():
    assert can_share(Chinchilla())
    assert not can_share(Kaplan())


def mixtures(exponents, *, runs_each, noise=0.002, seed=0):
    """One table of several mixtures with offsets and amplitudes of their own, and its truth."""
    rng = np.random.default_rng(seed)
    rows, points, truth = [], [], []
    for k, alpha in enumerate(exponents):
        offset, amplitude = 1.5 + 0.1 * k, 30 * 1e7 ** (alpha - 0.28) * np.exp(0.2 * rng.normal())
        for tokens in np.geomspace(1e6, 1e8, runs_each):
            loss = (offset + amplitude / tokens**alpha) * np.exp(noise * rng.standard_normal())
            rows.append({"mixture": f"m{k}", "tokens": tokens, "loss": loss})
        points.append({"mixture": f"m{k}", "tokens": 3e9})
        truth.append(offset + amplitude / 3e9**alpha)
    return pl.DataFrame(rows), pl.DataFrame(points), np.array(truth)


def compete(exponents, *, runs_each, seeds):
    """Mean absolute log error of shared and of separate fits, and the weight of shared ones."""
    errors, weight = [], []
    for seed in range(seeds):
        runs, points, truth = mixtures(exponents, runs_each=runs_each, seed=seed)
        series = gather_series(runs, points, y="loss", x=None, law="power", group="mixture", seed=0)
        weights = weigh(series)
        shared = np.array(["/shared" in name for name in series[0].evidence.names])
        weight.append(weights[shared].sum())
        errors.append(
            [
                np.mean(
                    [
                        np.abs(combine(each.evidence.final, np.where(some, 1.0, 0.0))[0]
                               - np.log(truth[each.rows]))
                        for each in series
                    ]
                )
                for some in (shared, ~shared)
            ]
        )  # fmt: skip
    return *np.mean(errors, axis=0), np.mean(weight)


def test_shared_exponents_beat_separate_ones_where_they_are_equal_and_runs_few():
    shared, separate, weight = compete([0.28] * 5, runs_each=4, seeds=4)
    assert shared < 0.6 * separate
    assert weight > 0.5


def test_shared_exponents_are_not_chosen_where_they_differ():
    shared, separate, weight = compete(np.linspace(0.16, 0.40, 5), runs_each=10, seeds=3)
    assert separate < 0.5 * shared
    assert weight < 0.3


def test_a_forecast_says_when_exponents_are_shared_and_covers():
    runs, points, truth = mixtures([0.28] * 5, runs_each=4)
    forecast = forecast_runs(runs, points, law="power", group="mixture")
    assert "power[tokens]/shared" in forecast.law
    low, high = forecast.interval(0.95).T
    assert ((low < truth) & (truth < high)).all()


def test_one_group_has_nothing_to_share():
    runs, points, _ = mixtures([0.28], runs_each=8)
    forecast = forecast_runs(runs, points, group="mixture")
    assert "/shared" not in forecast.law
    assert not any(each.shared for each in competing(runs))


def test_hidden_runs_of_other_groups_are_hidden_too():
    """A group's origins must not be forecast with exponents that saw as far as they hide."""
    runs, points, _ = mixtures([0.28] * 3, runs_each=8)
    other = (pl.col("mixture") != "m0") & (pl.col("tokens") > 6e7)
    spoilt = runs.with_columns(loss=pl.when(other).then(1.3 * pl.col("loss")).otherwise("loss"))
    first, second = (
        gather_series(each, points.head(1), y="loss", x=None, law="power", group="mixture", seed=0)
        for each in (runs, spoilt)
    )
    early = [block for block in first[0].evidence.origins if block.train <= 7]
    assert early
    for a, b in zip(early, second[0].evidence.origins, strict=False):
        np.testing.assert_array_equal(a.log_pred, b.log_pred)
    assert not np.allclose(first[0].evidence.final.log_pred, second[0].evidence.final.log_pred)
