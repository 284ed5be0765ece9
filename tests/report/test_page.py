"""The page: what it says of unfinished, hostile, damaged and foreign projects."""

import json
import re

import pytest

from leadsman.errors import InputError
from leadsman.report import write_report

SOURCE = {
    "name": "web",
    "documents": 10,
    "bytes": 1000,
    "declared_bytes": 5000,
    "duplicates": 2,
    "duplicate_bytes": 200,
    "contaminated": 1,
    "contaminated_bytes": 100,
    "kept_documents": 7,
    "kept_bytes": 700,
}


def with_stage(tmp_path, **changes):
    stages = tmp_path / "work/stages"
    stages.mkdir(parents=True)
    result = {"project": "mine", "sources": [SOURCE], "examples": []} | changes
    (stages / "prepare.json").write_text(json.dumps({"fingerprint": "f", "result": result}))
    return tmp_path / "work"


def page_of(work, tmp_path):
    return write_report(work, tmp_path / "report.html").read_text()


def test_half_done_project_shows_what_is_known(tmp_path):
    page = page_of(with_stage(tmp_path), tmp_path)
    assert "No decision yet" in page
    assert "What was kept and what was dropped" in page
    assert "What it beat" not in page


def test_text_of_documents_cannot_become_markup(tmp_path):
    evil = "</script><script>alert(1)</script>"
    work = with_stage(
        tmp_path,
        examples=[{"id": evil, "why": evil, "text": evil}],
        sources=[SOURCE | {"name": evil}],
    )
    page = page_of(work, tmp_path)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_finished_project_has_every_part_the_decision_first(planted, tmp_path):
    page = page_of(planted, tmp_path)
    titles = re.findall(r"<h[12]>(?:<[^>]+>)*([^<]+)", page)
    assert titles[0].startswith("Train ")
    assert titles[1:-1] == [
        "Forecast",
        "Try another budget",
        "What it beat",
        "Settings",
        "Money, time and memory",
        "What to measure next",
        "Mixture",
        "Data kept and dropped",
        "Runs",
        "Track record",
    ]
    assert titles[-1].startswith("To reproduce")
    assert page.index("track-record-line") < page.index("<h1>")


def test_numbers_of_the_plan_stand_on_the_page(planted, tmp_path):
    page = page_of(planted, tmp_path)
    forecast = json.loads((planted / "plan.json").read_text())["chosen"]["forecast"]
    low, high = forecast["intervals"]["0.95"]
    assert f"{forecast['median']:.3f}" in page
    assert f"{low:.3f} to {high:.3f}" in page
    assert "a comment &lt;with&gt; marks" in page
    assert re.search(r"<td>learning rate</td><td[^>]*>0.0042</td>.*?-0.6.%</td>.*?chosen", page)
    assert "<b>precision</b>: kept at bf16; name precisions" in page
    assert "With less compute, natural is best." in page
    assert "8 passes over selected" in page
    assert re.search(r"news</td>.*?not tried", page)


def test_base_models_are_named_with_what_to_do_with_them(own_project, tmp_path):
    file = own_project / "plan.json"
    plan = json.loads(file.read_text())
    known = {"path": "/m/tiny", "params": 300_000, "as_it_is": 1.75, "left_out": None}
    plan["starts"] = [
        {"name": "tiny", **known, "warning": "no run is expected to do better"},
        {"name": "vast", **known, "left_out": "at most 10 parameters may be served"},
    ]
    file.write_text(json.dumps(plan))
    page = page_of(own_project, tmp_path)
    assert "<h1>Start fresh: train " in page
    assert "at most 10 parameters may be served" in page
    assert "no run is expected to do better" in page
    plan["chosen"]["recipe"] |= {"start": "w" * 16}
    plan["chosen"]["recipe"]["mixture"]["name"] = "continue tiny-A on natural"
    file.write_text(json.dumps(plan))
    title = page_of(own_project, tmp_path).partition("<h1>")[2].partition("</h1>")[0]
    assert title.startswith("Continue tiny-A (")
    assert title.endswith("tokens from all sources by their size")


def test_data_is_called_what_a_person_would_call_it(own_project, tmp_path):
    """The ledger's name stands once, in the list that explains it; all else is in words."""
    file = own_project / "plan.json"
    plan = json.loads(file.read_text())
    name = "selected + keep 0.1 + 50 % web"
    plan["chosen"]["recipe"]["mixture"] = {"name": name, "weights": {"selected@0.1": 0.5,
                                                                     "web": 0.5}}  # fmt: skip
    plan["chosen"]["label"] = f"{name}, lr 0.003"
    plan["epochs"][0]["source"] = "selected@0.1"
    file.write_text(json.dumps(plan))
    page = (
        page_of(own_project, tmp_path)
        .partition('<section id="reproduce"')[0]
        .replace("\u00a0", " ")
    )
    title = page.partition("<h1>")[2].partition("</h1>")[0]
    assert title.endswith(" tokens: half from the best tenth of the text by DSIR, half from web")
    assert "<td>half best tenth, half web, lr 0.003</td>" in page
    assert "training on all sources by size reaches with all of it" in page
    assert page.count(name) == page.count(f"<code>{name}</code>") == 1
    assert page.count("<code>natural</code>") == 1
    assert "selected@0.1" not in page
    assert "best quarter: small runs" in page


def test_page_without_prices_or_draws_leaves_those_parts_out(make_project, tmp_path):
    page = page_of(make_project(tmp_path / "work", full=False), tmp_path)
    assert "Try another budget" not in page
    assert "Money, time and memory" not in page
    assert "What it beat" in page


def test_page_is_one_file_that_needs_no_network(planted, tmp_path):
    page = page_of(planted, tmp_path)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", page)
    assert len(page) < 1_500_000


def test_tampered_register_heads_the_page(own_project, tmp_path):
    entry = own_project / "ledger/registry/00000001.json"
    entry.write_text(entry.read_text().replace('"median": 1', '"median": 2', 1))
    page = page_of(own_project, tmp_path)
    assert "was tampered with: entry 1 was changed" in page
    assert "mean error" not in page


def test_nothing_done_is_nothing_to_report(tmp_path):
    with pytest.raises(InputError, match="nothing has been done here yet"):
        write_report(tmp_path, tmp_path / "report.html")


def test_missing_directory_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such directory"):
        write_report(tmp_path / "nowhere", tmp_path / "report.html")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("plan.json", b"{", r"plan\.json: not JSON"),
        ("plan.json", b"\xff\xfe\x00", r"plan\.json: not JSON"),
        ("plan.json", b"[]", r"no plan that this version of Leadsman reads"),
        ("plan.json", b'{"y": "loss", "best": {}}', r"it has no budget_flops"),
        ("stages/prepare.json", b'{"x": 1}', r"prepare\.json: not the result of a stage"),
        ("plan_draws.parquet", b"PAR1", r"plan_draws\.parquet: not a Parquet file"),
    ],
)
def test_damaged_and_older_files_are_one_sentence(own_project, tmp_path, file, content, words):
    (own_project / file).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        write_report(own_project, tmp_path / "report.html")
    assert "\n" not in str(caught.value)


def test_draws_without_a_column_name_it(own_project, tmp_path):
    import polars as pl

    file = own_project / "plan_draws.parquet"
    pl.read_parquet(file).drop("draws").write_parquet(file)
    with pytest.raises(InputError, match="has no column 'draws'"):
        write_report(own_project, tmp_path / "report.html")
