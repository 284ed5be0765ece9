from pathlib import Path

import pytest

from leadsman.cli.plan import TEMPLATE
from leadsman.errors import InputError
from leadsman.plan import load_project

GOOD = """\
sources:
  - name: web
    path: web.jsonl
  - name: code
    path: /data/code
    declared_bytes: 1.5 GB
target:
  path: target.jsonl
budget:
  flops: 2e13
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "leadsman.yaml"
    file.write_text(text)
    return file


def test_paths_are_relative_to_the_project_file(tmp_path):
    project = load_project(written(tmp_path, GOOD))
    assert project.sources[0].path == str(tmp_path / "web.jsonl")
    assert project.sources[1].path == "/data/code"
    assert project.target.path == str(tmp_path / "target.jsonl")


def test_sizes_and_defaults(tmp_path):
    project = load_project(written(tmp_path, GOOD))
    assert project.sources[1].declared_bytes == 1_500_000_000
    assert project.budget.total_flops == 2e13
    assert project.soundings.mixtures == ("natural", "uniform", "selected")


def test_the_template_of_init_is_a_valid_project_with_the_defaults_it_shows(tmp_path):
    project = load_project(written(tmp_path, TEMPLATE.format(name="mine")))
    bare = load_project(written(tmp_path, GOOD))
    assert project.selection.options == {"length_normalised": True}
    assert project.selection.keep == bare.selection.keep
    assert project.tokenizer == bare.tokenizer
    assert project.soundings == bare.soundings
    assert project.vary == bare.vary


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (
            "declared_bytes",
            "declared_byte",
            "line 6, field 'sources.1.declared_byte'",
            "unknown field; did you mean 'declared_bytes'",
        ),
        (
            "1.5 GB",
            "1.5 XB",
            "line 6, field 'sources.1.declared_bytes'",
            "not a size: '1.5 XB'; write for example",
        ),
        (
            "flops: 2e13",
            "flops: lots",
            "line 10, field 'budget.flops'",
            "should be a number",
        ),
        (
            "flops: 2e13",
            "flops: 2e13\n  hours: 3",
            "line 9, field 'budget'",
            "exactly one of flops, hours and money",
        ),
        ("name: code", "name: web", "", "two sources are called 'web'"),
        (
            "flops: 2e13",
            "{money: 100 EUR, hardware: H100-SXM}",
            "line 9, field 'budget'",
            "mixed currencies: budget.money is 100.00 EUR, the price of H100-SXM is 2.50 USD",
        ),
        (
            "declared_bytes: 1.5 GB",
            "price: 20 dollars",
            "line 6, field 'sources.1.price'",
            "not a price: '20 dollars'; write for example 2.5 or 2.5 USD",
        ),
        ("name: code", "name: ../code", "line 4, field 'sources.1.name'", "match pattern"),
        ("target:\n  path: target.jsonl\n", "", "line 1, field 'target'", "this field is required"),
        (
            "  path: target.jsonl",
            "  path: target.jsonl\n  held_out: 1.5",
            "line 9, field 'target.held_out'",
            "less than 1",
        ),
        (
            "budget:",
            "soundings: {mixtures: [uniform]}\nbudget:",
            "line 9, field 'soundings'",
            "must contain natural",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path, old, new, place, message):
    assert GOOD.count(old) == 1
    with pytest.raises(InputError, match=message) as caught:
        load_project(written(tmp_path, GOOD.replace(old, new)))
    assert "leadsman.yaml" in str(caught.value)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", r"line 1: not YAML"),
        ("- just a list", "must be a mapping with sources, target and budget"),
        ("", "must be a mapping"),
    ],
)
def test_a_file_that_is_no_project(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_project(written(tmp_path, text))


def test_sources_of_an_excluded_licence_are_left_out(tmp_path):
    text = GOOD.replace("path: web.jsonl", "path: web.jsonl\n    licence: nc")
    text += "decision: {exclude_licences: [nc]}\n"
    project = load_project(written(tmp_path, text))
    assert [source.name for source in project.allowed().sources] == ["code"]
    none = text.replace("path: /data/code", "path: /data/code\n    licence: nc")
    with pytest.raises(InputError, match="leaves no source"):
        load_project(written(tmp_path, none))


@pytest.mark.parametrize(
    ("first", "budget", "message"),
    [
        ("price: 5 USD", "flops: 2e13", "'web' has a price, but the budget is not money"),
        ("price: 0 USD", "flops: 2e13", None),
    ],
)
def test_a_price_needs_money(tmp_path, first, budget, message):
    text = GOOD.replace("path: web.jsonl", f"path: web.jsonl\n    {first}")
    text = text.replace("flops: 2e13", budget)
    if message is None:
        load_project(written(tmp_path, text))
        return
    with pytest.raises(InputError, match=message):
        load_project(written(tmp_path, text))
    paid = load_project(written(tmp_path, text + "decision: {money_for_data: 9 USD}\n"))
    assert [source.name for source in paid.priced] == ["web"]
    with pytest.raises(InputError, match="every source has a price"):
        load_project(written(tmp_path, text.replace("path: /data/code", "path: c\n    price: 1")))


def test_prices_of_sources_share_the_currency_of_the_budget(tmp_path):
    text = GOOD.replace("path: web.jsonl", "path: web.jsonl\n    price: 5 CHF")
    text = text.replace("flops: 2e13", "{money: 100 USD, hardware: H100-SXM}")
    with pytest.raises(InputError, match=r"mixed currencies.*source 'web' is 5\.00 CHF"):
        load_project(written(tmp_path, text))


def test_missing_project_file_says_how_to_get_one(tmp_path):
    with pytest.raises(InputError, match="leadsman init"):
        load_project(tmp_path / "none.yaml")
