"""The page of claims is what the committed results give, and its verdicts follow its rules."""

from __future__ import annotations

import json

import pytest
from benchmarks.claims import page
from benchmarks.claims.design import CONTENDERS, Contender
from benchmarks.claims.memory import LLAMA, states

from leadsman.registry import methods

BASE = [2.00, 2.02, 1.98]


def test_the_page_is_current():
    assert page.PAGE.read_text() == page.page(), "run `python -m benchmarks.claims.page`"


@pytest.mark.parametrize(
    ("kind", "losses", "expected"),
    [
        ("better", [1.95, 1.97, 1.93], "reproduced"),
        ("better", [1.95, 2.03, 1.94], "partly"),
        ("better", [2.05, 2.07, 2.03], "not at this scale"),
        ("memory", [2.01, 2.03, 1.99], "reproduced"),
        ("compute", [1.95, 1.97, 1.93], "reproduced"),
        ("compute", [2.05, 2.07, 2.03], "not at this scale"),
        ("equal", [2.2, 2.2, 2.2], "not at this scale"),
    ],
)
def test_verdicts(kind, losses, expected):
    assert page.verdict(Contender(label="m", claim="", kind=kind), losses, BASE) == expected


def test_less_compute_in_more_time_is_partly_reproduced():
    contender, losses = Contender(label="m", claim="", kind="compute"), [1.95, 1.97, 1.93]
    assert page.verdict(contender, losses, BASE, slower=True) == "partly"
    worse = [2.05, 2.07, 2.03]
    assert page.verdict(contender, worse, BASE, slower=True) == "not at this scale"


def test_differences_are_paired_by_seed():
    middle, half = page._interval([-0.1, -0.2, -0.3])
    assert middle == pytest.approx(-0.2)
    assert half == pytest.approx(4.30 * 0.1 / 3**0.5)


def test_every_method_of_the_two_rooms_has_a_row_with_as_many_trials():
    rows = {contender.optimizer for contender in CONTENDERS}
    rows |= {name for contender in CONTENDERS for name in contender.methods}
    rooms = ("leadsman.train.optimizers.", "leadsman.train.methods.")
    built_in = {n for n, c in methods("training").items() if c.__module__.startswith(rooms)}
    assert built_in - rows == {"ofa"}
    assert {len(contender.lrs) for contender in CONTENDERS} == {4}


def test_the_committed_states_are_the_formulas():
    file = page.RESULTS / "memory.json"
    committed = json.loads(file.read_text())["states"]
    assert committed == json.loads(json.dumps(states()))
    assert [row["size"] for row in committed] == list(LLAMA)
