"""Text that is on every machine with Python and the project's own dependencies."""

import json

import pytest

from leadsman.corpus import harvest
from leadsman.corpus.harvest import DEFAULT_HELD_OUT, SOURCES, harvest_source

ALWAYS = ("stdlib-code", "package-code", "docstrings", "readmes", "licences")


def rows(found):
    return [json.loads(line) for line in found.path.read_text().splitlines()]


@pytest.mark.parametrize("name", ALWAYS)
def test_source_is_there_and_says_what_it_holds(name, tmp_path):
    found = harvest_source(name, tmp_path, seed=0, max_bytes=100_000)
    documents = rows(found)
    assert found.documents == len(documents) > 5
    assert found.revealed_bytes == sum(len(row["text"].encode()) for row in documents)
    assert {row["source"] for row in documents} == {name}
    assert len({row["id"] for row in documents}) == len(documents)


def test_same_seed_same_text_and_another_seed_other_text(tmp_path):
    texts = [
        harvest_source(
            "docstrings", tmp_path / str(n), seed=seed, max_bytes=50_000
        ).path.read_text()
        for n, seed in enumerate((0, 0, 1))
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("name", ["package-code", "docstrings", "readmes", "licences"])
def test_held_out_packages_are_in_no_source(name, tmp_path):
    for row in rows(harvest_source(name, tmp_path, seed=0, max_bytes=2_000_000)):
        package = row["id"].split("/")[0].split("-")[0].lower()
        assert package not in DEFAULT_HELD_OUT, row["id"]


def test_target_is_docstrings_of_held_out_packages(tmp_path):
    documents = rows(harvest_source("target", tmp_path, seed=0, max_bytes=200_000))
    assert {row["id"].split("/")[0] for row in documents} <= set(DEFAULT_HELD_OUT)
    assert not any(row["text"].startswith("import ") for row in documents)


def test_partly_revealed_source_declares_about_its_full_size(tmp_path):
    everything = harvest_source("readmes", tmp_path / "all", seed=0, max_bytes=10**9)
    part = harvest_source("readmes", tmp_path / "part", seed=0, max_bytes=10**9, revealed=0.5)
    assert 0 < part.revealed_bytes < everything.revealed_bytes
    assert part.full_bytes == pytest.approx(everything.full_bytes, rel=0.35)


def test_source_that_is_not_on_this_machine_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setitem(harvest._FILES, "manuals", lambda held_out: [])
    found = harvest_source("manuals", tmp_path, seed=0)
    assert found.path is None
    assert not list(tmp_path.iterdir())


def test_manual_pages_lose_their_markup(tmp_path):
    page = tmp_path / "man1" / "ls.1"
    page.parent.mkdir()
    page.write_text('.\\" comment\n.TH LS 1\n.SH NAME\n\\fBls\\fR \\- list files\n' + "word " * 60)
    (text,) = harvest._manual(page)
    assert "ls - list files" in text
    assert "\\f" not in text
    assert ".SH" not in text
    assert "comment" not in text


def test_documents_are_cut_at_definitions(tmp_path):
    file = tmp_path / "long.py"
    body = "    x = 1\n" * 200
    file.write_text("".join(f"def f{n}():\n{body}\n\n" for n in range(10)))
    pieces = list(harvest._code(file))
    assert len(pieces) > 1
    assert all(piece.startswith("def ") for piece in pieces)
    assert all(len(piece) <= 2 * harvest.MAX_BYTES for piece in pieces)


def test_sources_are_at_least_four_on_a_bare_machine():
    assert set(ALWAYS) < set(SOURCES)
