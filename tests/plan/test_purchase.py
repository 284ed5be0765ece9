"""Buying data where the worth of every set is known."""

import itertools

import numpy as np
import pytest

from leadsman.errors import BudgetError, InputError
from leadsman.plan.decision.purchase import Offer, choose_purchases
from leadsman.plan.money import Amount


def usd(value):
    return Amount(value=value, currency="USD")


def offers(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Offer(f"s{k}", usd(float(rng.uniform(1, 10))), tokens=float(rng.uniform(1e9, 1e11)))
        for k in range(count)
    ] + [Offer("free", None, tokens=1e9)]


def loss(all_offers):
    """More unique tokens help, with diminishing returns."""
    sizes = {offer.name: offer.tokens for offer in all_offers}
    return lambda names: 1.7 + 1200 / sum(sizes[name] for name in names) ** 0.33


@pytest.mark.parametrize("count", [5, 9])
def test_the_best_set_is_bought(count):
    every = offers(count)
    result = loss(every)
    found = choose_purchases(every, usd(15), result)
    priced = {o.name: o.cost for o in every if o.cost}
    sets = itertools.chain.from_iterable(
        itertools.combinations(priced, n) for n in range(count + 1)
    )
    best = min(result({*names, "free"}) for names in sets if sum(priced[n] for n in names) <= 15)
    assert found.value == pytest.approx(best)
    assert found.price <= 15
    assert found.value < found.without


def test_many_offers_are_exchanged_to_a_local_optimum():
    every = offers(16)
    result = loss(every)
    found = choose_purchases(every, usd(25), result)
    priced = {o.name: o.cost for o in every if o.cost}
    for name in set(priced) - set(found.bought):
        for out in [None, *found.bought]:
            other = (set(found.bought) | {name}) - {out}
            if sum(priced[n] for n in other) <= 25:
                assert result({*other, "free"}) >= found.value


def test_worth_says_what_each_source_moves():
    every = offers(4)
    result = loss(every)
    found = choose_purchases(every, usd(1e6), result)
    assert set(found.bought) == {"s0", "s1", "s2", "s3"}
    for name, worth in found.worth.items():
        rest = {"free", *found.bought} - {name}
        assert worth == pytest.approx(result(rest) - found.value)


def test_bad_offers():
    with pytest.raises(InputError, match=r"mixed currencies.*source 'eu'"):
        choose_purchases(
            [Offer("eu", Amount(value=1, currency="EUR"), 1e9)], usd(5), lambda names: 1.0
        )
    with pytest.raises(BudgetError, match=r"5\.00 USD buys no source: the cheapest, 'dear'"):
        choose_purchases([Offer("dear", usd(10), 1e9)], usd(5), lambda names: 1.0)
    with pytest.raises(InputError, match="source 'x' declares 1,000 tokens, its sample alone"):
        Offer("x", None, tokens=1000, sample_tokens=5000)
