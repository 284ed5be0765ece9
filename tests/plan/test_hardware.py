"""Hardware, money and energy, against arithmetic done by hand and published analyses."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from leadsman.errors import InputError
from leadsman.plan import Budget
from leadsman.plan.hardware import (
    Hardware,
    find_accelerator,
    load_accelerators,
    measured_utilisation,
)
from leadsman.plan.money import Amount, common_currency
from leadsman.runs import Mixture, ModelShape, Recipe, Run


def run(params_width=512, *, tokens_per_second=1e4, device="NVIDIA H100 80GB HBM3"):
    shape = ModelShape(
        layers=8, width=params_width, heads=8, kv_heads=8, ffn_width=4 * params_width,
        vocab_size=1000, seq_len=256,
    )  # fmt: skip
    recipe = Recipe(
        shape=shape, mixture=Mixture("a", {"a": 1}), data="d", tokens=2560, batch_tokens=2560,
        lr=0.01, precision="bf16",
    )  # fmt: skip
    return Run(id=recipe.id, recipe=recipe, tokens_per_second=tokens_per_second, device=device)


def test_money_hours_and_flops_are_one_budget():
    price, rate = 2.5, 0.4 * 989e12
    flops = 8 * rate * 3600 * 10
    common = {"hardware": "h100-sxm", "devices": 8, "utilisation": 0.4}
    by_hours = Budget(hours=10, **common)
    by_money = Budget(money=f"{8 * 10 * price} USD", **common)
    assert by_hours.total_flops == pytest.approx(flops)
    assert by_money.total_flops == pytest.approx(flops)


def test_a_deadline_caps_what_money_could_buy():
    free = Budget(money=1e6, hardware="A100-SXM-80GB", devices=4)
    late = Budget(money=1e6, hardware="A100-SXM-80GB", devices=4, deadline_hours=24)
    assert late.total_flops == pytest.approx(late.flops_rate * 86400)
    assert late.total_flops < free.total_flops


def test_mixed_currencies_are_named():
    with pytest.raises(ValidationError, match=r"mixed currencies.*100.00 EUR.*2.50 USD"):
        Budget(money="100 EUR", hardware="H100-SXM")
    Budget(money="100 EUR", hardware="H100-SXM", price_per_hour="2.2 EUR")
    with pytest.raises(InputError, match=r"source 'web' is 3\.00 CHF"):
        common_currency(
            {
                "budget.money": Amount(value=5, currency="EUR"),
                "bare": Amount(value=1),
                "source 'web'": Amount(value=3, currency="CHF"),
            }
        )


@pytest.mark.parametrize("text", ["ten dollars", "2.5 dollars", "-3 USD", "USD 5"])
def test_a_price_that_is_none(text):
    with pytest.raises(ValidationError, match=r"not a price: .*; write for example 2.5"):
        Budget(money=text, price_per_hour=1, flops_per_second=1)


def test_a_table_of_ones_own_replaces_entries(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "accelerators:\n  H100-SXM:\n    peak_tflops: {bf16: 989}\n    memory_gb: 80\n"
        "    bandwidth_gb_s: 3350\n    price_per_hour: 1.9 EUR\n"
    )
    table = load_accelerators(file)
    assert str(table["H100-SXM"].price_per_hour) == "1.90 EUR"
    assert table["B200"] == load_accelerators()["B200"]
    file.write_text(file.read_text().replace("memory_gb", "memory_gib"))
    with pytest.raises(InputError, match=r"line 4.*memory_gib.*did you mean 'memory_gb'"):
        load_accelerators(file)


def test_unknown_accelerator_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'H100-SXM'"):
        find_accelerator("H100-SMX")


def test_utilisation_comes_from_runs_on_that_device_near_that_size():
    h100 = find_accelerator("H100-SXM")
    near = [run(tokens_per_second=rate) for rate in (1e5, 2e5, 4e5)]
    shape = near[0].recipe.shape
    expected = 2e5 * shape.train_flops_per_token / 989e12
    size = shape.non_embedding_params
    found = measured_utilisation(near, h100, precision="bf16", params=size)
    assert found == pytest.approx(expected)
    tiny = run(32, tokens_per_second=10.0)
    assert measured_utilisation([*near, tiny], h100, precision="bf16", params=size) == found
    a100 = find_accelerator("A100-SXM-80GB")
    assert measured_utilisation(near, a100, precision="bf16") is None
    assert measured_utilisation(near, h100, precision="float32") is None


def test_budget_prefers_given_then_measured_then_usual_utilisation():
    runs = [run(tokens_per_second=2e5)]
    measured = Budget(hours=1, hardware="H100-SXM").measured(runs)
    assert measured.on_hardware().source == "ledger"
    given = Budget(hours=1, hardware="H100-SXM", utilisation=0.5).measured(runs)
    assert (given.on_hardware().source, given.on_hardware().utilisation) == ("given", 0.5)
    assert Budget(hours=1, hardware="H100-SXM").on_hardware().source == "usual"


def test_energy_and_carbon_by_hand():
    h100 = find_accelerator("H100-SXM")
    eight = Hardware(name="H100-SXM", accelerator=h100, devices=8, pue=1.5, carbon_kg_per_kwh=0.2)
    flops = eight.flops_per_second * 3600 * 5
    assert eight.energy_kwh(flops) == pytest.approx(8 * 5 * 0.7 * 1.5)
    assert eight.carbon_kg(flops) == pytest.approx(8 * 5 * 0.7 * 1.5 * 0.2)
    tpu = replace(eight, accelerator=find_accelerator("TPU-v5p"))
    assert tpu.energy_kwh(flops) is None
