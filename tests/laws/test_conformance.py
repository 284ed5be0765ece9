"""Every built-in law keeps the promises of a law."""

import numpy as np
import polars as pl
import pytest

from leadsman.laws.methods.accept_then_stop import AcceptThenStop
from leadsman.laws.methods.capability_space import CapabilitySpace
from leadsman.laws.methods.collaborative import Collaborative
from leadsman.laws.methods.curve_transfer import CurveTransfer
from leadsman.laws.methods.difficulty_clusters import DifficultyClusters
from leadsman.laws.methods.multipower import MultiPower
from leadsman.laws.methods.regmix import RegMix
from leadsman.registry import methods
from leadsman.testing.laws import check_law
from leadsman.testing.planted import planted
from leadsman.testing.planted_cases import CASES

RNG = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def models_by_tasks():
    ability, level = RNG.standard_normal(12), RNG.standard_normal(5)
    noise = 0.1 * RNG.standard_normal((12, 5))
    return sigmoid(ability[:, None] + level + noise)


def collaborative():
    cells = models_by_tasks()
    rows = [
        {"model": f"m{m}", "task": f"t{t}", "score": cells[m, t]}
        for m in range(12)
        for t in range(5)
    ]
    return pl.DataFrame(rows)


def benchmarks():
    cells = models_by_tasks()
    return pl.DataFrame({f"score.b{t}": cells[:, t] for t in range(4)} | {"score": cells[:, 4]})


def early_parts():
    final = RNG.uniform(2.0, 3.0, 24)
    early = np.stack([final + gap + 0.01 * RNG.standard_normal(24) for gap in (0.6, 0.3)])
    columns = {"early.loss_250": early[0], "early.loss_500": early[1]}
    return pl.DataFrame(columns | {"score": 1.2 - 0.3 * final, "group": np.arange(24) // 3})


def items():
    flops, turns = np.geomspace(1e20, 1e23, 7), np.repeat([20.5, 21.5, 22.5], 8)
    rows = [
        {"flops": each, "item": f"i{k}", "score": float(sigmoid(2 * (np.log10(each) - turn)))}
        for each in flops
        for k, turn in enumerate(turns)
    ]
    return pl.DataFrame(rows)


def decayed_curve():
    step = np.arange(200, 4000, 100)
    lr = 3e-4 * np.where(step < 2500, 1.0, 0.3)
    loss = 2.6 + 0.6 * np.cumsum(lr * 100) ** -0.45 - 0.05 * (step >= 2500)
    return pl.DataFrame({"step": step, "lr": lr, "loss": loss})


def mixtures():
    shares = RNG.dirichlet(np.ones(3), 60)
    loss = 3 - shares[:, 0] + 0.01 * RNG.standard_normal(60)
    return pl.DataFrame({f"mix.{n}": shares[:, i] for i, n in enumerate("abc")} | {"loss": loss})


def sizes():
    tokens = 200.0 * 2.0 ** np.arange(8)
    loss = 5 * tokens**-0.1 * np.exp(0.01 * RNG.standard_normal(8))
    return pl.DataFrame({"tokens": tokens, "loss": loss})


def of_case(case):
    law = case.equipped()
    return law, planted(law, case.runs, case.theta, y=case.y, noise=case.noise, seed=0)


LAWS = {case.name: of_case(case) for case in CASES} | {
    "accept-then-stop": (AcceptThenStop(), sizes()),
    "capability-space": (CapabilitySpace(components=2), benchmarks()),
    "collaborative": (Collaborative(rank=1, burn_in=50, kept=50), collaborative()),
    "curve-transfer": (CurveTransfer(), early_parts()),
    "difficulty-clusters": (DifficultyClusters(clusters=4), items()),
    "multipower": (MultiPower(), decayed_curve()),
    "regmix": (RegMix(rounds=40, ensemble=8), mixtures()),
}


def test_no_law_is_left_out():
    assert {law.name for law, _ in LAWS.values()} == set(methods("law"))


@pytest.mark.parametrize("name", LAWS)
def test_law_keeps_its_promises(name):
    law, runs = LAWS[name]
    points = runs if name == "multipower" else runs[-3:]  # a curve is one piece
    check_law(law, runs, points, y="score" if law.output == "score" else "loss")
