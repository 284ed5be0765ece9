"""Decisions against closed forms and planted truths."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from leadsman.errors import BudgetError, InputError
from leadsman.plan.decision import (
    BeliefOfRuns,
    Constraint,
    Dimension,
    Objective,
    Space,
    optimise,
)
from leadsman.plan.decision.pareto import pareto_front

A, ALPHA, B, BETA = 400.0, 0.34, 1200.0, 0.33


def flops(points):
    return 6.0 * points["params"].to_numpy() * points["tokens"].to_numpy()


def budget(limit):
    return Constraint("budget", limit, flops, "FLOPs")


class Planted:
    """L = E + a A / N^alpha + b B / D^beta, worth[data] times; a and b differ by world."""

    y = "loss"

    def __init__(self, worlds=500, *, spread=0.0, worth=None):
        rng = np.random.default_rng(0)
        self.worlds, self.worth = worlds, worth or {}
        self.a, self.b = np.exp(spread * rng.standard_normal((2, worlds, 1)))

    def draws(self, points, worlds=None):
        pick = worlds or slice(None)
        n, d = points["params"].to_numpy(), points["tokens"].to_numpy()
        if "data" in points.columns:
            d = d * np.array([self.worth[name] for name in points["data"]])
        return 1.7 + self.a[pick] * A / n**ALPHA + self.b[pick] * B / d**BETA


SIZES = {"params": Dimension(low=1e6, high=1e11), "tokens": Dimension(low=1e8, high=1e13)}


def best_params(compute, a=1.0, b=1.0, d_worth=1.0):
    """The closed form of Hoffmann et al. 2022, equation 4."""
    g = (ALPHA * a * A / (BETA * b * B * d_worth**-BETA)) ** (1 / (ALPHA + BETA))
    return g * (compute / 6) ** (BETA / (ALPHA + BETA))


@pytest.mark.parametrize("compute", [1e18, 1e20, 1e22])
def test_the_compute_optimal_size_is_the_closed_form(compute):
    found = optimise(Space(SIZES), Planted(), [budget(compute)])
    assert found.point["params"] == pytest.approx(best_params(compute), rel=0.01)
    assert found.slacks["budget"] == pytest.approx(0, abs=1e-4)  # all of it is spent


def test_serving_makes_the_best_model_smaller_and_longer_trained():
    served = 1e12

    def cost(points):
        return flops(points) + 2 * points["params"].to_numpy() * served

    plain = optimise(Space(SIZES), Planted(), [budget(1e22)]).point
    lean = optimise(Space(SIZES), Planted(), [Constraint("budget", 1e22, cost)]).point
    assert lean["params"] < plain["params"]
    assert lean["tokens"] / lean["params"] > plain["tokens"] / plain["params"]
    # an independent search along the budget line
    sizes = np.geomspace(1e8, 1e10, 20001)
    tokens = (1e22 - 2 * sizes * served) / (6 * sizes)
    line = pl.DataFrame({"params": sizes, "tokens": np.maximum(tokens, 1.0)})
    expected = sizes[Planted(1).draws(line)[0].argmin()]
    assert lean["params"] == pytest.approx(expected, rel=0.02)


def test_expected_loss_is_minimised_not_the_loss_of_the_mean_world():
    belief = Planted(4000, spread=0.5)
    found = optimise(Space(SIZES), belief, [budget(1e21)])
    expected = best_params(1e21, a=belief.a.mean(), b=belief.b.mean())
    assert found.point["params"] == pytest.approx(expected, rel=0.02)
    assert found.expected_regret > 0
    assert (found.regrets >= 0).all()


def test_a_cautious_quantile_never_has_a_worse_tail():
    belief = Planted(3000, spread=0.6)
    mean = optimise(Space(SIZES), belief, [budget(1e21)])
    cautious = optimise(Space(SIZES), belief, [budget(1e21)], Objective("quantile", 0.95))
    tails = [np.quantile(each.draws, 0.95) for each in (mean, cautious)]
    assert tails[1] <= tails[0] + 1e-6


def test_names_are_branches_with_probabilities():
    belief = Planted(worth={"good": 2.0, "poor": 1.0})
    space = Space({**SIZES, "data": Dimension(choices=("poor", "good"))})
    found = optimise(space, belief, [budget(1e20)])
    assert found.point["data"] == "good"
    assert found.point["params"] == pytest.approx(best_params(1e20, d_worth=2.0), rel=0.01)
    assert [p for _, _, p in found.alternatives] == pytest.approx([1.0, 0.0])


def test_steps_are_kept():
    space = Space({**SIZES, "params": Dimension(low=1e8, high=1e10, step=1e8)})
    found = optimise(space, Planted(), [budget(1e21)])
    assert found.point["params"] / 1e8 == pytest.approx(round(found.point["params"] / 1e8))
    assert abs(found.point["params"] - best_params(1e21)) <= 1e8
    assert flops(pl.DataFrame([found.point]))[0] <= 1e21 * (1 + 1e-5)


def test_front_falls_with_cost_and_each_point_is_an_optimum():
    front = pareto_front(Space(SIZES), Planted(), [budget(1e21)], Objective())
    assert len(front) == 6
    assert [p.median for p in front] == sorted((p.median for p in front), reverse=True)
    for each in front:
        assert each.point["params"] == pytest.approx(best_params(each.cost), rel=0.02)


def at_most(name, limit, column):
    return Constraint(name, limit, lambda points: points[column].to_numpy())


def test_an_impossible_limit_is_named():
    with pytest.raises(BudgetError, match=r"no choice meets budget: at most 1e\+12 FLOPs"):
        optimise(Space(SIZES), Planted(), [budget(1e12)])


def test_limits_that_contradict_each_other_are_both_named():
    space = Space({**SIZES, "tokens": Dimension(low=1e11, high=1e13)})
    enough = Constraint("least_size", 1e-9, lambda points: 1 / points["params"].to_numpy())
    with pytest.raises(BudgetError, match=r"budget .* and least_size .* contradict each other"):
        optimise(space, Planted(), [budget(1e19), at_most("cap", 1e12, "params"), enough])


def test_dimensions_that_make_no_sense():
    for wrong in ({"low": 2, "high": 1}, {"low": 0, "high": 1}, {"low": 1}, {}):
        with pytest.raises(ValidationError):
            Dimension(**wrong)
    with pytest.raises(InputError, match="nothing to choose"):
        Space({})


def runs_of_a_world(n=150, seed=0, noise=0.003):
    """Random runs of a world whose log loss bends in lr and in the share of code."""
    rng = np.random.default_rng(seed)

    def between(low, high):
        return np.exp(rng.uniform(np.log(low), np.log(high), n))

    code = rng.uniform(0.05, 0.95, n)
    frame = pl.DataFrame(
        {
            "params": between(1e6, 1e8), "tokens": between(2e7, 4e9), "lr": between(5e-4, 2e-2),
            "mix.code": code, "mix.web": 1 - code, "width": np.full(n, 7.0),
        }
    )  # fmt: skip
    bend = 0.02 * np.log(frame["lr"].to_numpy() / 3e-3) ** 2 + 0.3 * (code - 0.35) ** 2
    loss = (1.7 + A / frame["params"] ** ALPHA + B / frame["tokens"] ** BETA).to_numpy()
    return frame.with_columns(loss=pl.Series(loss * np.exp(bend + noise * rng.standard_normal(n))))


@pytest.fixture(scope="module")
def learned():
    space = Space(
        {
            "params": Dimension(low=1e7, high=1e9), "tokens": Dimension(low=1e9, high=1e11),
            "lr": Dimension(low=5e-4, high=2e-2),
            "mix.code": Dimension(low=0.01, high=1, scale="linear"),
            "mix.web": Dimension(low=0.01, high=1, scale="linear"),
            "width": Dimension(low=1, high=9),
        }
    )  # fmt: skip
    return space, BeliefOfRuns(runs_of_a_world(), space, y="loss", worlds=1000, seed=0)


def test_settings_are_learned_from_runs(learned):
    space, belief = learned
    assert belief.fixed == {"width": 7.0}
    found = optimise(space.fix(belief.fixed), belief, [budget(1e19)])
    # tolerances: three standard errors of a quadratic's vertex at this noise, and more for size,
    # which trades off against tokens along a flat valley
    assert np.log(found.point["lr"]) == pytest.approx(np.log(3e-3), abs=0.25)
    assert found.point["mix.code"] == pytest.approx(0.35, abs=0.03)
    assert np.log(found.point["params"]) == pytest.approx(np.log(best_params(1e19)), abs=0.5)
    truth = 1.7 + A / best_params(1e19) ** ALPHA + B / (1e19 / 6 / best_params(1e19)) ** BETA
    low, high = np.quantile(found.draws, [0.02, 0.98])
    assert low <= truth <= high


def test_draws_are_joint_and_repeatable(learned):
    space, belief = learned
    points = space.frame(np.random.default_rng(1).uniform(size=(5, 6)), {})
    once, again = belief.draws(points), belief.draws(points)
    assert (once == again).all()
    assert np.allclose(belief.draws(points[2:3])[:, 0], once[:, 2])
    assert np.allclose(belief.draws(points, slice(3, 6)), once[3:6])


def test_draws_of_a_law_on_the_grid_are_the_law():
    from leadsman.laws.methods.chinchilla import Chinchilla
    from leadsman.plan.decision.surface import DrawSurface

    rng = np.random.default_rng(3)
    runs = pl.DataFrame(
        [(n, d) for n in np.geomspace(1e6, 1e8, 5) for d in np.geomspace(1e8, 1e10, 5)],
        schema=["params", "tokens"], orient="row",
    )  # fmt: skip
    loss = 1.7 + A / runs["params"] ** ALPHA + B / runs["tokens"] ** BETA
    runs = runs.with_columns(loss=loss * np.exp(0.003 * rng.standard_normal(len(runs))))
    law = Chinchilla().fit(runs, y="loss", seed=0)
    names = ["params", "tokens"]
    surface = DrawSurface(
        law, names, np.array([1e6, 1e8]), np.array([1e10, 1e13]), draws=50, seed=0
    )
    scale = np.exp(rng.uniform(np.log([5e5, 5e7]), np.log([2e10, 2e13]), (200, 2)))
    scale[0] = [1e3, 1e15]  # far outside: evaluated as it is
    asked = pl.DataFrame(scale, schema=names, orient="row")
    direct = np.log(law.curve_draws(asked, draws=50, seed=0))
    # interpolation of an analytic function: an error of 1e-6 is 1e-4 per cent of a loss
    assert np.abs(surface.at(np.log(scale)) - direct).max() < 1e-6
