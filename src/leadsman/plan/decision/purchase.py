"""Which sources to buy: what each is worth at its full size, under a budget of money.

A source is known by a sample: its worth at full size is forecast by a belief in which the tokens
of a source beyond its sample can be drawn at all only if it is bought. All sets of sources the
money allows are weighed (up to a number that can be listed; beyond it by adding and exchanging),
each with the best choice of the other settings, and the set of the lowest expected result is taken.
projektor (Kang et al. 2023, catalogue 1) forecasts the same from optimal-transport distances; here
the forecast is the belief's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leadsman.errors import BudgetError, InputError
from leadsman.plan.money import Amount, common_currency

LISTED = 12
"""All sets are tried up to this many priced sources."""


@dataclass(frozen=True)
class Offer:
    """A source that may be bought.

    Attributes:
        name: of the source.
        price: of all of it; ``None`` or zero is free.
        tokens: declared full size.
        sample_tokens: what can be read before buying.

    Raises:
        InputError: the sample is larger than the declared size.
    """

    name: str
    price: Amount | None
    tokens: float
    sample_tokens: float = 0.0

    def __post_init__(self) -> None:
        if self.sample_tokens > self.tokens * 1.01:
            raise InputError(
                f"source {self.name!r} declares {self.tokens:,.0f} tokens, its sample alone has "
                f"{self.sample_tokens:,.0f}; declare the full size",
                column="sources",
            )

    @property
    def cost(self) -> float:
        """Price as a number."""
        return 0.0 if self.price is None else self.price.value


@dataclass(frozen=True)
class Purchase:
    """What to buy.

    Attributes:
        bought: names, free sources left out.
        price: of all that is bought.
        value: expected result with it.
        without: expected result with free sources alone.
        worth: by source, how much worse the result were without it (bought), or how much better
            with it added (not bought, whatever its price); in the unit of the result.
        weighed: sets that were compared.
    """

    bought: tuple[str, ...]
    price: float
    value: float
    without: float
    worth: dict[str, float]
    weighed: int


def choose_purchases(
    offers: Sequence[Offer],
    money: Amount,
    result: Callable[[frozenset[str]], float],
    *,
    listed: int = LISTED,
) -> Purchase:
    """The set of sources with the lowest expected result that the money pays for.

    Args:
        offers: free ones are always taken.
        money: that may be spent on data.
        result: expected result of the best plan with these sources in full.
        listed: all sets are tried up to this many priced sources.

    Raises:
        InputError: prices in several currencies.
        BudgetError: no source is free and none can be paid.
    """
    prices = {f"source {offer.name!r}": offer.price for offer in offers}
    common_currency({"the money for data": money, **prices})
    free = frozenset(offer.name for offer in offers if not offer.cost)
    priced = {offer.name: offer.cost for offer in offers if offer.cost}
    known: dict[frozenset[str], float] = {}

    def weigh(names: Iterable[str]) -> float:
        bought = frozenset(names) | free
        if bought not in known:
            known[bought] = result(bought) if bought else float("inf")
        return known[bought]

    def allowed(names: Iterable[str]) -> bool:
        return sum(priced[name] for name in names) <= money.value * (1 + 1e-9)

    if not free and not any(allowed([name]) for name in priced):
        cheapest = min(priced, key=lambda name: priced[name])
        raise BudgetError(
            f"{money} buys no source: the cheapest, {cheapest!r}, costs {priced[cheapest]:,.2f}"
        )
    if len(priced) <= listed:
        sets = [
            set(names)
            for size in range(len(priced) + 1)
            for names in itertools.combinations(priced, size)
            if allowed(names)
        ]
        best = min(sets, key=lambda names: (weigh(names), sum(priced[name] for name in names)))
    else:
        best = _exchange(priced, weigh, allowed)
    value = weigh(best)
    worth = {
        name: weigh(best - {name}) - value if name in best else value - weigh(best | {name})
        for name in priced
    }
    return Purchase(
        bought=tuple(sorted(best)),
        price=sum(priced[name] for name in best),
        value=value,
        without=weigh(()),
        worth=worth,
        weighed=len(known),
    )


def _exchange(
    priced: dict[str, float],
    weigh: Callable[[Iterable[str]], float],
    allowed: Callable[[Iterable[str]], bool],
) -> set[str]:
    """Add, drop or swap one source as long as the result falls: a local optimum."""
    best: set[str] = set()
    while True:
        near = [best ^ {name} for name in priced]
        near += [best - {out} | {new} for out in best for new in priced if new not in best]
        moves = [names for names in near if allowed(names)]
        step = min(moves, key=weigh, default=best)
        if weigh(step) >= weigh(best):
            return best
        best = step
