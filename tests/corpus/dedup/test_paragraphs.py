import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadsman.corpus import Corpus, write_corpus
from leadsman.corpus.dedup import paragraphs
from leadsman.corpus.dedup.explain import explain_removal
from leadsman.corpus.dedup.paragraphs import deduplicate_paragraphs
from leadsman.corpus.dedup.segments import segments
from leadsman.corpus.kernels.text import TextColumn
from leadsman.errors import InputError

SHARED = (
    "This paragraph stands in more than one place, which is one place too many, since a "
    "single place is all that it needs."
)
OTHER = "The licence of this file says, at some length, what may be done with this file."


def pieces_by_hand(text, unit):
    """Written from the definition, with lines and a loop."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    if unit == "line":
        return lines
    pieces, blank = [], False
    for line in lines:
        full = bool(line.strip(" \t\r\n\x0b\x0c"))
        if pieces and (not full or not blank or not pieces[-1].strip(" \t\r\n\x0b\x0c")):
            pieces[-1] += line
        else:
            pieces.append(line)
        blank = not full
    return pieces


@given(st.lists(st.text(alphabet="a \n\tß\x00", max_size=30), max_size=6))
def test_pieces_are_those_of_the_definition_and_add_up(documents):
    column = TextColumn.of(pa.array(documents, pa.string()))
    for unit in ("line", "paragraph"):
        pieces, owners, contents = segments(column, unit)
        raw = [bytes(pieces.data[a:b]) for a, b in zip(pieces.offsets, pieces.offsets[1:])]
        by_hand = [piece.encode() for text in documents for piece in pieces_by_hand(text, unit)]
        assert raw == by_hand
        expected = [n for n, text in enumerate(documents) for _ in pieces_by_hand(text, unit)]
        assert owners.tolist() == expected
        blank = b" \t\r\n\x0b\x0c"
        assert contents.tolist() == [sum(byte not in blank for byte in piece) for piece in raw]


def essays(count, seed):
    generator = np.random.default_rng(seed)
    words = [f"word{i}" for i in range(500)]
    return [
        "\n\n".join(" ".join(generator.choice(words, 12)) for _ in range(4)) for _ in range(count)
    ]


@pytest.fixture
def planted(tmp_path):
    rows = [{"id": f"e{i}", "text": t, "source": "essays"} for i, t in enumerate(essays(30, 0))]
    rows[3]["text"] = f"{SHARED}\n\n{rows[3]['text']}"
    for i in (7, 12, 20):
        rows[i]["text"] += f"\n\n  {SHARED.upper().replace(' ', '  ')}\n\n{OTHER} ({i})\n"
    rows[21]["text"] += "\n\n}\n\n}\n\nshort\n\nshort"
    rows.append({"id": "all", "text": f"{SHARED}\n\n{SHARED}\n", "source": "copies"})
    rows.append({"id": "own", "text": f"Something\n\n{SHARED}", "source": "copies"})
    return write_corpus(tmp_path / "raw", rows, shard_bytes=4000)


def test_repeated_paragraphs_go_and_the_first_stays(tmp_path, planted):
    report = deduplicate_paragraphs(planted, tmp_path / "out")
    texts = {row["id"]: row["text"] for row in report.corpus.table().to_pylist()}
    assert SHARED in texts["e3"]
    assert [name for name, text in texts.items() if SHARED.lower()[:20] in text.lower()] == ["e3"]
    assert texts["e7"].endswith(f"\n\n{OTHER} (7)\n")
    assert texts["e21"].endswith("}\n\n}\n\nshort\n\nshort")
    assert texts["own"] == "Something\n\n"
    assert "all" not in texts
    assert report.spans == 6
    assert report.documents_cut == 4
    assert report.removed["nothing left"].documents == 1
    assert explain_removal(report.corpus, "all")["reason"] == "nothing left"
    (span,) = explain_removal(report.corpus, "e12")["removed_spans"]
    assert span["kept_id"] == "e3"


def test_every_original_can_be_restored(tmp_path, planted):
    deduplicate_paragraphs(planted, tmp_path / "out")
    original = {row["id"]: row["text"].encode() for row in planted.table().to_pylist()}
    kept = {
        row["id"]: row["text"].encode() for row in Corpus.open(tmp_path / "out").table().to_pylist()
    }
    spans = pl.read_parquet(tmp_path / "out/rejects/spans-*.parquet")
    for identity, text in original.items():
        restored, at, left = b"", 0, kept.get(identity)
        if left is None:
            continue
        used = 0
        for span in spans.filter(id=identity).sort("start").to_dicts():
            own = span["start"] - at
            restored += left[used : used + own] + text[span["start"] : span["end"]]
            used, at = used + own, span["end"]
            source = original[span["kept_id"]][span["kept_start"] :].decode().lower().split()
            copy = text[span["start"] : span["end"]].decode().lower().split()
            assert source[: len(copy)] == copy
        assert restored + left[used:] == text


def test_nothing_repeated_is_left_and_nothing_else_is_lost(tmp_path):
    # Independent: multiset arithmetic on normalised lines.
    generator = np.random.default_rng(1)
    lines = [f"line number {i} has its own words and is long enough to count" for i in range(60)]
    texts = ["\n".join(generator.choice(lines, 8)) for _ in range(40)]
    raw = write_corpus(tmp_path / "raw", [{"text": t} for t in texts], shard_bytes=2000)
    report = deduplicate_paragraphs(
        raw, tmp_path / "out", unit="line", min_bytes=40, max_source_loss=0.99
    )
    left = Counter(
        line
        for text in report.corpus.table()["text"].to_pylist()
        for line in text.split("\n")
        if line
    )
    assert set(left) == {line for text in texts for line in text.split("\n")}
    assert set(left.values()) == {1}


def tree(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(Path(path).rglob("*.parquet"))
    }


def test_a_killed_job_and_a_cut_hash_range_change_nothing(tmp_path, planted, monkeypatch):
    deduplicate_paragraphs(planted, tmp_path / "whole")
    monkeypatch.setattr(paragraphs, "_PART_PIECES", 10)
    true, calls = paragraphs._write, []

    def dying(part, **options):
        calls.append(part)
        if len(calls) == 2:
            raise KeyboardInterrupt
        true(part, **options)

    monkeypatch.setattr(paragraphs, "_write", dying)
    with pytest.raises(KeyboardInterrupt):
        deduplicate_paragraphs(planted, tmp_path / "out")
    monkeypatch.setattr(paragraphs, "_write", true)
    deduplicate_paragraphs(planted, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_source_that_becomes_empty_is_named(tmp_path):
    one = write_corpus(tmp_path / "one", [{"text": SHARED, "source": "one"}])
    two = write_corpus(tmp_path / "two", [{"text": SHARED, "source": "two"}])
    with pytest.raises(InputError, match="source 'two' becomes empty"):
        deduplicate_paragraphs([one, two], tmp_path / "out", stop_source_loss=1.0)
    report = deduplicate_paragraphs([one, two], tmp_path / "out")
    assert set(report.kept) == {"one"}
    assert "1 of them become empty" in report.warnings[0]
    with pytest.raises(InputError, match="must be paragraph or line"):
        deduplicate_paragraphs([one, two], tmp_path / "out", unit="page")
