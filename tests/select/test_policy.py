import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadsman.errors import InputError
from leadsman.select import Policy, choose
from leadsman.select.policy import effective_size, temperature_for

ONES = np.ones(1000, np.int64)
scores = st.lists(st.floats(-50, 50), min_size=1, max_size=40).map(np.array)


@given(scores, st.integers(1, 40))
def test_top_keeps_the_highest(values, count):
    kept = choose(values, ONES[: len(values)], Policy(documents=count)).kept
    assert kept.sum() == min(count, len(values))
    if not kept.all():
        assert values[kept].min() >= values[~kept].max()


@given(scores, st.integers(1, 5000), st.integers(0, 3))
def test_an_amount_in_bytes_is_filled_and_not_exceeded(values, amount, seed):
    sizes = np.random.default_rng(seed).integers(1, 300, len(values))
    choice = choose(values, sizes, Policy(rule="resample", text_bytes=amount), seed=seed)
    order = np.argsort(-choice.keys, kind="stable")
    ranks = np.flatnonzero(choice.kept[order])
    assert ranks.tolist() == list(range(len(ranks)))
    if len(ranks) > 1:
        assert sizes[choice.kept].sum() <= amount
    if not choice.kept.all():
        assert sizes[order][: len(ranks) + 1].sum() > amount


def test_a_draw_follows_the_weights():
    # One of three with weights 1 : 2 : 5; 4000 draws, tolerance five standard errors.
    weights = np.array([1.0, 2.0, 5.0])
    policy = Policy(rule="resample", documents=1)
    picks = [choose(np.log(weights), ONES[:3], policy, seed=s).kept.argmax() for s in range(4000)]
    shares = np.bincount(picks, minlength=3) / 4000
    np.testing.assert_allclose(shares, weights / 8, atol=5 * np.sqrt(0.25 / 4000))


def test_a_draw_of_two_is_without_replacement_in_proportion():
    # P(first i, then j) = w_i / W * w_j / (W - w_i): inclusion of the lightest of 1 : 2 : 5.
    policy = Policy(rule="resample", documents=2)
    values = np.log(np.array([1.0, 2.0, 5.0]))
    share = np.mean([choose(values, ONES[:3], policy, seed=s).kept[0] for s in range(4000)])
    closed = 1 / 8 + 2 / 8 * 1 / 6 + 5 / 8 * 1 / 3
    assert share == pytest.approx(closed, abs=5 * np.sqrt(closed * (1 - closed) / 4000))


@given(st.integers(1, 50), st.integers(0, 50))
def test_effective_size_of_equal_weights_is_their_number(heavy, light):
    values = np.concatenate([np.zeros(heavy), np.full(light, -2000.0)])
    assert effective_size(values) == pytest.approx(heavy)


@given(st.integers(0, 100), st.floats(0.01, 1000), st.floats(0.02, 0.98))
@settings(max_examples=50)
def test_the_wanted_effective_size_is_reached(seed, spread, share):
    values = np.random.default_rng(seed).normal(scale=spread, size=400)
    wanted = max(1.5, share * 400)
    temperature = temperature_for(values, wanted)
    assert effective_size(values / temperature) == pytest.approx(wanted, rel=1e-3)


def test_wide_scores_make_a_draw_top_in_disguise_and_a_wanted_size_cures_it():
    # The spread of DSIR's log weights on whole documents, SD about 440 nats.
    values = np.random.default_rng(0).normal(scale=440, size=1000)
    disguised = choose(values, ONES, Policy(rule="resample", documents=100))
    assert disguised.effective_size < 1.01
    assert disguised.overlap_with_top > 0.97
    cured = choose(values, ONES, Policy(rule="resample", documents=100, effective_size=300))
    assert cured.effective_size == pytest.approx(300, rel=1e-3)
    assert cured.overlap_with_top < 0.6
    assert values[cured.kept].mean() > 300


def test_the_seed_decides_the_draw():
    values = np.zeros(1000)
    policy = Policy(rule="resample", documents=100)
    one, two, other = (choose(values, ONES, policy, seed=s).kept for s in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()


def test_threshold_and_minus_infinity():
    values = np.array([-np.inf, 0.0, 1.0, 2.0])
    kept = choose(values, ONES[:4], Policy(rule="threshold", threshold=1.0)).kept
    assert kept.tolist() == [False, False, True, True]
    assert not choose(values, ONES[:4], Policy(documents=4)).kept[0]
    both = choose(values, ONES[:4], Policy(documents=3, threshold=1.0)).kept
    assert both.tolist() == [False, False, True, True]


def test_a_quota_caps_a_source():
    values = np.arange(100.0)[::-1]
    sources = ["a"] * 50 + ["b"] * 50
    choice = choose(values, ONES[:100], Policy(documents=40, quotas={"a": 0.25}), sources=sources)
    assert choice.kept[:50].tolist() == [True] * 10 + [False] * 40
    assert choice.kept[50:].tolist() == [True] * 30 + [False] * 20


def test_an_amount_in_tokens_counts_tokens():
    tokens = np.array([5, 1, 1])
    scores = np.array([3.0, 2.0, 1.0])
    kept = choose(scores, ONES[:3], Policy(tokens=6), tokens=tokens).kept
    assert kept.tolist() == [True, True, False]
    with pytest.raises(InputError, match="needs the tokens of each"):
        choose(scores, ONES[:3], Policy(tokens=6))


def test_a_fraction_is_of_the_bytes():
    sizes = np.array([10, 10, 80])
    assert choose(np.array([3.0, 2.0, 1.0]), sizes, Policy(fraction=0.2)).kept.tolist() == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of fraction, documents, text_bytes and tokens, not 0"),
        ({"fraction": 0.1, "documents": 3}, "exactly one .* not 2"),
        ({"fraction": 0.0}, "'fraction': must be in"),
        ({"fraction": 1.1}, "'fraction': must be in"),
        ({"documents": 0}, "'documents': must be above zero"),
        ({"documents": 1, "rule": "best"}, "must be top, resample or threshold, not 'best'"),
        ({"rule": "threshold"}, "'threshold': the rule"),
        ({"documents": 1, "temperature": 0.0}, "'temperature': must be above zero"),
        ({"documents": 1, "effective_size": 0.5}, "'effective_size': must be at least one"),
        ({"documents": 1, "quotas": {"a": 2.0}}, "share of 'a' must be in"),
    ],
)
def test_policies_that_cannot_be_are_named(options, message):
    with pytest.raises(InputError, match=message):
        Policy(**options)


def test_scores_that_are_no_numbers_are_named():
    with pytest.raises(InputError, match="document 1 has no finite score"):
        choose(np.array([0.0, np.nan]), ONES[:2], Policy(documents=1))
    with pytest.raises(InputError, match="no document passes"):
        choose(np.array([0.0, 1.0]), ONES[:2], Policy(rule="threshold", threshold=9.0))
    with pytest.raises(InputError, match="there is no source 'z'"):
        choose(np.array([0.0]), ONES[:1], Policy(documents=1, quotas={"z": 1.0}), sources=["a"])
