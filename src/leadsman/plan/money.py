"""Amounts of money: a number with a currency, never converted.

Leadsman has no exchange rates: all prices of a plan are in one currency, or it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from leadsman.errors import InputError

_AMOUNT = re.compile(r"^\s*([0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]{3})\s*$")


class Amount(BaseModel):
    """A number of some currency; ``None`` where the file gives a bare number.

    >>> str(Amount(value=2.5, currency="USD"))
    '2.50 USD'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(ge=0)
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="ISO 4217 code")

    def __str__(self) -> str:
        return f"{self.value:,.2f} {self.currency or ''}".strip()


def _parse(given: Any) -> Any:
    """``2.5``, ``"2.5 USD"`` or ``"1,000 eur"`` as an amount."""
    if isinstance(given, bool):
        return given
    if isinstance(given, int | float):
        return {"value": given}
    if isinstance(given, str):
        found = _AMOUNT.match(given)
        if found is None:
            raise ValueError(f"not a price: {given!r}; write for example 2.5 or 2.5 USD")
        return {"value": float(found[1].replace(",", "")), "currency": found[2].upper()}
    return given


Money = Annotated[Amount, BeforeValidator(_parse)]


def common_currency(amounts: Mapping[str, Amount | None]) -> str | None:
    """The one currency of all amounts; a bare number counts as that one.

    Args:
        amounts: by the name a person knows them by.

    Raises:
        InputError: two currencies; both are named with where they stand.
    """
    named = {name: each for name, each in amounts.items() if each is not None and each.currency}
    first = next(iter(named), None)
    for name, each in named.items():
        if first is not None and each.currency != named[first].currency:
            raise InputError(
                f"prices are in mixed currencies: {first} is {named[first]}, {name} is {each}; "
                f"give all in one, there is no exchange rate here"
            )
    return None if first is None else named[first].currency
