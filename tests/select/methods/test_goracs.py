import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from leadsman.corpus import write_corpus
from leadsman.errors import MethodError
from leadsman.select.methods.goracs import GORACS, greedy_group, transport

pytest.importorskip("ot")


def by_linear_programme(cost):
    """Transport between equal masses, as a linear programme."""
    k, m = cost.shape
    rows = [np.repeat(np.eye(k)[i], m) for i in range(k)]
    columns = [np.tile(np.eye(m)[j], k) for j in range(m)]
    solved = linprog(
        cost.ravel(),
        A_eq=np.array(rows + columns),
        b_eq=np.r_[np.full(k, 1 / k), np.full(m, 1 / m)],
    )
    return solved.fun


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def selector_for(target, **options):
    selector = GORACS(**options)
    selector.target_ = target
    return selector


@pytest.mark.parametrize("seed", range(6))
def test_the_group_is_near_the_best_of_all(seed):
    generator = np.random.default_rng(seed)
    candidates, target = unit(generator.normal(size=(11, 3))), unit(generator.normal(size=(7, 3)))
    cost = np.linalg.norm(candidates[:, None].astype(float) - target[None], axis=2)
    penalty = 0.1 * np.linalg.norm(candidates - candidates.mean(axis=0), axis=1)

    def value(group):
        return by_linear_programme(cost[list(group)]) + penalty[list(group)].mean()

    best = min(value(group) for group in itertools.combinations(range(11), 4))
    selector = selector_for(target, count=4)
    found = selector.order(candidates, 4, seed=0)
    assert selector.objective_[-1] == pytest.approx(value(found), abs=1e-5)
    assert (np.diff(selector.objective_) < 0).all()
    assert value(found) <= 1.03 * best
    assert transport(cost[:4], penalty[:4])[0] == pytest.approx(value(range(4)), abs=1e-9)


def test_swaps_mend_what_greed_gets_wrong():
    # Greed covers each of the target's two places once and then pays for its third and fourth
    # member nothing; transport asks for three members near the place with three quarters.
    target = unit(np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]]))
    candidates = unit(np.array([[1, 0.0], [1, 0.02], [1, 0.04], [0, 1.0], [0.01, 1], [0.02, 1]]))
    cost = np.linalg.norm(candidates[:, None].astype(float) - target[None], axis=2)
    selector = selector_for(target, count=4, gradient_weight=0.0)
    group = selector.order(candidates, 4, seed=0)
    assert (group < 3).sum() == 3
    assert by_linear_programme(cost[group]) == pytest.approx(selector.objective_[-1], abs=1e-6)
    assert len(greedy_group(cost, np.zeros(6), 4)) == 4


def test_the_group_has_the_targets_proportions(tmp_path):
    # Planted: the target is three quarters sea, one quarter wine; raw is mostly code.
    generator = np.random.default_rng(0)
    words = {t: [f"{t}{i}" for i in range(40)] for t in ("sea", "wine", "code")}

    def essays(topic, count):
        return [
            {"text": " ".join(generator.choice(words[topic], 40)), "source": topic}
            for _ in range(count)
        ]

    raw = write_corpus(
        tmp_path / "raw", essays("sea", 60) + essays("wine", 60) + essays("code", 200)
    )
    target = write_corpus(tmp_path / "target", essays("sea", 45) + essays("wine", 15))
    selector = GORACS(20).fit(raw, target)
    scores = np.concatenate([selector.score(batch) for batch in raw.batches()])
    sources = np.array(raw.table(["source"])["source"].to_pylist())
    group = sources[scores >= 1]
    assert (group == "sea").sum() == pytest.approx(15, abs=2)
    assert (group == "code").sum() == 0
    assert scores[(sources == "code")].max() < scores[sources != "code"].min()


def test_what_cannot_be_is_named():
    for options in ({"max_target": 0}, {"gradient_weight": -1.0}, {"swaps": -1}, {"count": 0}):
        with pytest.raises(MethodError, match=f"goracs: {next(iter(options))} must"):
            GORACS(**options)
