"""Dataset decomposition, held to its definition on the documents themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadsman.errors import InputError
from leadsman.runs import Mixture, Packing, Schedule
from leadsman.train.feed import BucketFeed, open_feed
from leadsman.train.feed.buckets import bucket_odds, cut_documents
from leadsman.train.loop import Trainer


@pytest.fixture
def bucketed(new_recipe):
    def make(**changes):
        packing = Packing(
            name="buckets", cycle_tokens=64 * 40, shortest=4, **changes.pop("pack", {})
        )
        return new_recipe(**({"tokens": 64 * 400, "packing": packing} | changes))

    return make


@given(st.lists(st.integers(1, 70), min_size=1, max_size=20))
def test_pieces_tile_each_document_up_to_a_short_rest(sizes):
    ends = np.cumsum(sizes)
    lengths = [2, 4, 8, 16]
    starts = cut_documents(ends, lengths)
    for size, end in zip(sizes, ends, strict=True):
        begin = end - size
        pieces = sorted(
            (int(start), length)
            for length, group in zip(lengths, starts, strict=True)
            for start in group
            if begin <= start < end
        )
        position = begin
        for start, length in pieces:
            assert start == position
            position += length
        assert position == end - size % 2
        rest = size - size // 16 * 16
        binary = [16] * (size // 16) + [length for length in (8, 4, 2) if rest & length]
        assert [length for _, length in pieces] == binary


def test_sequences_are_of_one_document_each_and_of_one_length_a_step(bucketed, token_sets):
    feed = open_feed(bucketed(), token_sets)
    assert isinstance(feed, BucketFeed)
    end = token_sets["prose"].manifest.end_of_text
    for step in range(60):
        rows = feed.batch(step)
        length = feed.length_at(step)
        assert rows.shape == (64 // length, length + 1)
        # The first token may be the end of the document before; within, none but the last ends one.
        assert (rows[:, 1:-1] != end).all()


def test_an_epoch_reads_every_piece_once_and_counts_are_exact(bucketed, token_sets):
    prose = token_sets["prose"]
    recipe = bucketed(mixture=Mixture("prose", {"prose": 1}))
    feed = open_feed(recipe, token_sets)
    read = Counter()
    steps = 300
    for step in range(steps):
        length = feed.length_at(step)
        for row in feed.batch(step):
            read[row.tobytes(), length] += 1
    tokens = sum(length * count for (_, length), count in read.items())
    assert tokens == steps * 64
    assert feed.epochs(steps) == {"prose": pytest.approx(tokens / len(prose))}
    pieces = feed._sources[0]
    for bucket, length in enumerate(feed.lengths):
        times = [count for (_, size), count in read.items() if size == length]
        passes = sum(times) / pieces.count(bucket)
        stored = Counter(
            pieces.piece(bucket, rank).tobytes() for rank in range(pieces.count(bucket))
        )
        for piece, copies in stored.items():
            assert int(passes) * copies <= read[piece, length] <= (int(passes) + 1) * copies
    short = sum(int(size) % 4 for size in np.diff(prose.document_ends, prepend=0))
    assert feed.unused() == {"prose": pytest.approx(short / len(prose))}


def test_every_cycle_holds_all_lengths_in_proportion(bucketed, token_sets):
    for curriculum in ("natural", "grow-p2", "shrink-p100"):
        feed = open_feed(bucketed(pack={"curriculum": curriculum}), token_sets)
        for cycle in range(4):
            lengths = [feed.length_at(step) for step in range(cycle * 40, cycle * 40 + 40)]
            drawn = np.array([lengths.count(length) for length in feed.lengths])
            assert np.abs(drawn - 40 * feed._bucket_shares).max() <= 2


def test_curricula_order_lengths_as_their_odds_say(bucketed, token_sets):
    def falling_pairs(curriculum):
        """Share of pairs of unequal lengths in a cycle whose longer one comes first."""
        feed = open_feed(bucketed(pack={"curriculum": curriculum}), token_sets)
        falls = []
        for cycle in range(8):
            lengths = np.array([feed.length_at(cycle * 40 + n) for n in range(40)])
            first, second = np.triu_indices(40, 1)
            unequal = lengths[first] != lengths[second]
            falls += list((lengths[first] > lengths[second])[unequal])
        return np.mean(falls)

    # At random a half of the pairs fall; with odds of 100 to 1 hardly any, or nearly all.
    assert falling_pairs("natural") == pytest.approx(0.5, abs=0.1)
    assert falling_pairs("grow-p100") < 0.1
    assert falling_pairs("shrink-p100") > 0.9
    assert falling_pairs("grow-p100") < falling_pairs("grow-p2") < falling_pairs("natural")
    assert bucket_odds("grow-linear", 3).tolist() == [3, 2, 1]
    assert bucket_odds("grow-p100", 3).tolist() == [1e4, 100, 1]


def test_shares_are_met_over_cycles(bucketed, token_sets):
    recipe = bucketed(mixture=Mixture("m", {"prose": 0.7, "code": 0.3}))
    feed = open_feed(recipe, token_sets)
    epochs = feed.epochs(200)
    drawn = {name: share * len(token_sets[name]) for name, share in epochs.items()}
    assert sum(drawn.values()) == pytest.approx(200 * 64)
    assert drawn["prose"] == pytest.approx(0.7 * 200 * 64, rel=0.01)


def test_any_step_can_be_asked_for(bucketed, token_sets):
    whole, fresh = (open_feed(bucketed(), token_sets) for _ in range(2))
    for step in range(90):
        expected = whole.batch(step)
    np.testing.assert_array_equal(fresh.batch(89), expected)
    other = open_feed(bucketed(seed=4), token_sets)
    assert [other.length_at(n) for n in range(80)] != [whole.length_at(n) for n in range(80)]


def test_a_run_trains_on_them_and_continues_exactly(bucketed, token_sets):
    recipe = bucketed(tokens=64 * 30)
    whole = Trainer(recipe, token_sets)
    whole.advance(recipe, 12)
    state = whole.state()
    whole.advance(recipe, 30)
    again = Trainer(recipe, token_sets)
    again.load(state)
    again.advance(recipe, 30)
    assert again.curve.loss == whole.curve.loss
    assert whole.curve.loss[-1] < whole.curve.loss[0] - 0.5
    by_hand = sum(
        64 * replace(recipe.shape, seq_len=whole.feed.length_at(step)).train_flops_per_token
        for step in range(30)
    )
    assert whole.feed.flops(30) == pytest.approx(by_hand)
    assert by_hand < recipe.flops


def test_what_cannot_be_is_named(bucketed, new_recipe, token_sets):
    with pytest.raises(InputError, match="need cycle_tokens"):
        Packing(name="buckets")
    ramp = Schedule(ramp_start_tokens=16, ramp_tokens=99)
    with pytest.raises(InputError, match="ramp does not go with buckets"):
        open_feed(bucketed(schedule=ramp), token_sets)
    packing = Packing(name="buckets", cycle_tokens=640, shortest=17)
    with pytest.raises(InputError, match="no power of two lies between 17 and the sequence length"):
        open_feed(new_recipe(packing=packing), token_sets)
