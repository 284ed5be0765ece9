import pytest
from pydantic import ValidationError

from leadsman.plan import Budget


def test_money_hours_and_flops_agree():
    rate = 2e14
    flops = Budget(flops=rate * 3600 * 10)
    hours = Budget(hours=10, flops_per_second=rate)
    money = Budget(money=25, price_per_hour=2.5, flops_per_second=rate)
    assert flops.total_flops == hours.total_flops == money.total_flops


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one of flops, hours and money .found none."),
        ({"flops": 1, "hours": 1}, "found flops and hours"),
        ({"hours": 1}, "hours needs flops_per_second"),
        ({"money": 1, "flops_per_second": 1}, "money needs price_per_hour"),
        ({"flops": -1}, "greater than 0"),
    ],
)
def test_unclear_budgets_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Budget(**fields)
