"""What the commands say and keep of rows and fields that do not make it into a corpus."""

import json
import re

import polars as pl
import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.corpus import Corpus

WORDS = ["amber", "basil", "cedar", "delta", "ember", "fjord", "glade", "heron", "inlet", "jetty"]
RATE = ["--max-reject-rate", "0.2"]


@pytest.fixture
def rows(tmp_path):
    good = [
        {"id": str(i), "text": f"{WORDS[i % 10]} {WORDS[i // 10]} number {i}", "url": f"u{i}"}
        for i in range(60)
    ]
    bad = ['{"text": 5}', "not json", '{"body": "x"}']
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([json.dumps(row) for row in good] + bad) + "\n")
    target = tmp_path / "target.jsonl"
    target.write_text("".join(json.dumps({"text": f"amber {word}"}) + "\n" for word in WORDS))
    return str(file), str(target), str(tmp_path / "out")


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result


def commands(rows):
    file, target, _ = rows
    return {
        "dedup": ["dedup", file],
        "decontaminate": ["decontaminate", file, "--against", target],
        "select": ["select", file, "--target", target, "--keep", "0.5"],
    }


@pytest.mark.parametrize("name", ["dedup", "decontaminate", "select"])
def test_unusable_rows_and_fields_are_told_and_kept(rows, name):
    out = rows[-1]
    result = run(*commands(rows)[name], "--out", out, *RATE)
    assert "3 rows could not be used; the first: " in result.stderr
    assert "fields not kept: url (keep them with --metadata url)" in result.stderr
    records = pl.read_parquet(f"{out}/rejects/rows-00000.parquet")
    assert records["line"].to_list() == [61, 62, 63]
    # Again, from what was read before: the same is told and kept once.
    again = run(*commands(rows)[name], "--out", out, *RATE)
    assert again.stderr == result.stderr
    assert len(pl.read_parquet(f"{out}/rejects/rows-*.parquet")) == 3


@pytest.mark.parametrize("name", ["dedup", "decontaminate", "select"])
def test_a_field_that_is_asked_for_is_kept(rows, name):
    out = rows[-1]
    result = run(*commands(rows)[name], "--out", out, "--metadata", "url", *RATE)
    assert "not kept" not in result.stderr
    table = Corpus.open(out).table(["id", "url"])
    assert table["url"].to_pylist() == [f"u{i}" for i in table["id"].to_pylist()]


def test_a_field_that_only_one_input_has_is_named(rows, tmp_path):
    file, target, out = rows
    result = run("dedup", file, target, "--out", out, "--metadata", "url", *RATE)
    assert "fields not kept, for not all inputs have them: url" not in result.stderr
    run("corpus", "convert", file, "--out", str(tmp_path / "one"), "--metadata", "url", *RATE)
    run("corpus", "convert", target, "--out", str(tmp_path / "two"))
    result = run("dedup", str(tmp_path / "one"), str(tmp_path / "two"), "--out", out + "2")
    assert "fields not kept, for not all inputs have them: url" in result.stderr


def test_where_nothing_goes_no_rejects_are_promised(tmp_path):
    file, out = tmp_path / "clean.jsonl", str(tmp_path / "out")
    file.write_text("".join(json.dumps({"text": f"{word} alone here"}) + "\n" for word in WORDS))
    result = run("dedup", str(file), "--out", out)
    assert "what went" not in result.stdout
    file.write_text(json.dumps({"text": "amber alone here"}) + "\n" + file.read_text())
    result = run("dedup", str(file), "--out", out + "2")
    assert f"what went and why: {out}2/rejects" in result.stdout
    assert pl.read_parquet(f"{out}2/rejects/removed-*.parquet").height == 1


def test_a_choice_that_is_less_like_the_target_is_said_to_be(rows):
    file, _, out = rows
    result = run("select", file, "--target", file, "--documents", "2", "--out", out, *RATE)
    line = next(line for line in result.stdout.splitlines() if "KL to the target" in line)
    before, after = (float(word) for word in re.findall(r"\d+\.\d+", line))
    assert "rises" in line
    assert after > before


def test_a_job_stops_for_a_source_only_if_asked(rows, tmp_path):
    file, _, out = rows
    copy = tmp_path / "copy.jsonl"
    copy.write_text("\n".join((tmp_path / "rows.jsonl").read_text().splitlines()[:60]) + "\n")
    stopped = CliRunner().invoke(
        app, ["dedup", file, str(copy), "--out", out, "--stop-source-loss", "1", *RATE]
    )
    assert "source 'copy' becomes empty" in str(stopped.exception)
    result = run("dedup", file, str(copy), "--out", out, *RATE)
    assert "1 of 2 sources lose more than 50%" in result.stderr
