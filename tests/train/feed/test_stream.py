from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadsman.errors import InputError
from leadsman.runs import Mixture
from leadsman.train.feed import Feed, data_id

SEQ = 16


def feed(token_sets, weights, seed=0, seq_len=SEQ):
    return Feed(token_sets, Mixture("m", weights), seq_len=seq_len, vocab_size=320, seed=seed)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.01, 0.99), count=st.integers(1, 400))
def test_proportions_are_exact_to_one_sequence_at_every_point(token_sets, share, count):
    order = feed(token_sets, {"prose": share, "code": 1 - share})
    order.sequences(0, count)
    drawn = np.bincount(order._choices[:count], minlength=2)
    wanted = np.array([1 - share, share]) * count
    assert np.abs(drawn - wanted).max() <= 1 + 1e-9


def test_any_part_of_the_order_can_be_asked_for(token_sets):
    weights = {"prose": 0.7, "code": 0.3}
    whole = feed(token_sets, weights).sequences(0, 900)
    fresh = feed(token_sets, weights)
    np.testing.assert_array_equal(fresh.sequences(850, 50), whole[850:900])
    np.testing.assert_array_equal(fresh.sequences(3, 7), whole[3:10])
    other = feed(token_sets, weights, seed=1).sequences(0, 900)
    assert not np.array_equal(other, whole)


def test_an_epoch_reads_every_window_once(token_sets):
    prose = token_sets["prose"]
    windows = len(prose) // SEQ - 1
    order = feed({"prose": prose}, {"prose": 1})
    first, second = order.sequences(0, windows), order.sequences(windows, windows)
    for rows in (first, second):
        tokens = np.concatenate([row[:-1] for row in rows])
        kept = np.bincount(tokens, minlength=320)
        all_tokens = np.bincount(prose.read(0, len(prose)), minlength=320)
        assert (kept <= all_tokens).all()
        assert all_tokens.sum() - kept.sum() < 2 * SEQ
    assert not np.array_equal(first, second)
    assert order.epochs(windows)["prose"] == pytest.approx(windows * SEQ / len(prose))


def test_a_window_is_a_run_of_the_stored_tokens(token_sets):
    stored = token_sets["code"].read(0, len(token_sets["code"])).astype(np.uint16).tobytes()
    for row in feed(token_sets, {"code": 1}).sequences(0, 40):
        assert row.astype(np.uint16).tobytes() in stored


def test_a_source_is_read_in_the_same_order_in_every_mixture(token_sets):
    alone = feed(token_sets, {"prose": 1}).sequences(0, 50)
    mixed = feed(token_sets, {"prose": 1, "code": 1})
    rows = mixed.sequences(0, 100)
    np.testing.assert_array_equal(rows[mixed._choices[:100] == 1], alone)


def test_data_id_follows_the_tokens(token_sets):
    assert data_id(token_sets) == data_id(dict(reversed(token_sets.items())))
    assert data_id(token_sets) != data_id({"prose": token_sets["prose"]})


def test_clear_errors(token_sets):
    with pytest.raises(InputError, match="draws from 'books', which has no tokens"):
        feed(token_sets, {"books": 1})
    with pytest.raises(InputError, match=r"'code' has \d+ tokens; two sequences of 100000"):
        feed(token_sets, {"code": 1}, seq_len=100_000)
    with pytest.raises(InputError, match="vocabulary of 320, the model's has 300"):
        Feed(token_sets, Mixture("m", {"code": 1}), seq_len=SEQ, vocab_size=300, seed=0)
