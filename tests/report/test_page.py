"""The page of a project that is not finished, and its words for hostile text."""

import json

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


def test_half_done_project_shows_what_is_known(tmp_path):
    page = write_report(with_stage(tmp_path), tmp_path / "report.html").read_text()
    assert "No decision yet" in page
    assert "What was kept and what was dropped" in page
    assert "What it beat" not in page


def test_text_of_documents_cannot_become_markup(tmp_path):
    evil = "<script>alert(1)</script>"
    work = with_stage(tmp_path, examples=[{"id": evil, "why": evil, "text": evil}])
    page = write_report(work, tmp_path / "report.html").read_text()
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_nothing_done_is_nothing_to_report(tmp_path):
    with pytest.raises(InputError, match="nothing has been done here yet"):
        write_report(tmp_path, tmp_path / "report.html")


@pytest.mark.browser
def test_half_done_page_opens_on_a_phone(tmp_path, browser):
    page = write_report(with_stage(tmp_path), tmp_path / "report.html")
    opened = browser.open(page)
    assert not opened.errors
    assert "js-plotly-plot" in opened.dom
