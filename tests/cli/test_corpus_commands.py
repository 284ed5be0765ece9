import json
import sys
from pathlib import Path

import polars as pl
import pytest

from leadsman.cli.main import run
from leadsman.corpus import Corpus, write_corpus
from leadsman.testing.selectors import SEA, WINE, draw_documents


@pytest.fixture
def leadsman(monkeypatch, capsys):
    """Run the command line; returns exit code, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadsman", *map(str, arguments)])
        try:
            run()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "web.jsonl"
    texts = [*draw_documents(SEA, 30, 0), *draw_documents(WINE, 30, 1)]
    texts.append(texts[0].upper())
    lines = [json.dumps({"id": f"d{i}", "text": text}) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def target(tmp_path):
    write_corpus(tmp_path / "target", [{"text": t} for t in draw_documents(SEA, 20, 2)])
    return tmp_path / "target"


def test_convert_stats_sample_verify(tmp_path, leadsman, raw):
    code, out, _ = leadsman("corpus", "convert", raw, "--out", tmp_path / "c")
    assert code == 0
    assert "61 documents" in out
    _, out, _ = leadsman("corpus", "stats", tmp_path / "c", "--json")
    assert json.loads(out)["sources"]["web"]["documents"] == 61
    _, out, _ = leadsman("corpus", "sample", tmp_path / "c", "-n", 3, "--seed", 1)
    rows = [json.loads(line) for line in out.splitlines()]
    assert len({row["id"] for row in rows}) == 3
    assert leadsman("corpus", "verify", tmp_path / "c")[0] == 0
    shard = tmp_path / "c/shard-00000.parquet"
    shard.write_bytes(shard.read_bytes() + b"x")
    code, _, err = leadsman("corpus", "verify", tmp_path / "c")
    assert code == 2
    assert "1 of 1 shards are damaged: shard-00000.parquet: checksum differs" in err


def test_dedup_from_a_file_and_why_a_document_went(tmp_path, leadsman, raw):
    out = tmp_path / "unique"
    code, text, _ = leadsman("dedup", raw, "--out", out)
    assert code == 0
    assert "exact copy: 1 documents" in text
    assert "precision 1.000" in text
    assert Corpus.open(out).documents == 60
    record = json.loads(leadsman("dedup", raw, "--out", out, "--explain", "d60")[1])
    assert (record["kept"], record["reason"], record["kept_id"]) == (False, "exact copy", "d0")
    assert json.loads(leadsman("dedup", raw, "--out", out, "--explain", "d1")[1])["kept"]
    code, _, err = leadsman("dedup", raw, "--out", out, "--explain", "nobody")
    assert code == 2
    assert 'no document of this job has the id "nobody"' in err


def test_select_finds_the_planted_kind_and_explains(tmp_path, leadsman, raw, target):
    out = tmp_path / "chosen"
    command = ["select", raw, "--target", target, "--documents", 20, "--out", out]
    code, text, err = leadsman(*command)
    assert code == 0
    assert "KL to the target falls" in text
    assert "effective sample size" in text
    ids = set(Corpus.open(out).table(["id"])["id"].to_pylist())
    assert len(ids) == 20
    assert ids <= {f"d{i}" for i in range(30)} | {"d60"}
    assert "this draw is hardly one" in err
    some = sorted(ids)[0]
    record = json.loads(leadsman(*command, "--explain", some)[1])
    assert record["kept"]
    assert record["key"] >= record["cut"]
    assert record["rank"] <= record["of"] == 61
    assert not json.loads(leadsman(*command, "--explain", "d59")[1])["kept"]


def test_decontaminate(tmp_path, leadsman, raw, target):
    items = write_corpus(tmp_path / "eval", [{"id": "q7", "text": draw_documents(WINE, 1, 1)[0]}])
    out = tmp_path / "clean"
    code, text, _ = leadsman("decontaminate", raw, "--against", items.location, "--out", out)
    assert code == 0
    assert "exact copy: 1 documents" in text
    record = json.loads(
        leadsman("decontaminate", raw, "-a", items.location, "-o", out, "--explain", "d30")[1]
    )
    assert record["target_id"] == "q7"


@pytest.mark.parametrize("command", ["dedup", "select", "decontaminate"])
def test_a_dry_run_estimates_and_writes_nothing(tmp_path, leadsman, raw, target, command):
    leadsman("corpus", "convert", raw, "--out", tmp_path / "c")
    extra = {"select": ["-t", target, "--keep", 0.1], "decontaminate": ["-a", target]}
    code, out, _ = leadsman(
        command, tmp_path / "c", "-o", tmp_path / "out", "--dry-run", *extra.get(command, [])
    )
    assert code == 0
    assert "61 documents" in out
    assert "of memory" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--documents", 3, "--set", "m=3"], "'m=3' is no setting of dsir"),
        (["--documents", 3, "--method", "dsri"], "did you mean dsir"),
        (["--bytes", "5Q"], "'5Q' is no size"),
        (["--documents", 3, "--quota", "web"], "'web' is not SOURCE=SHARE"),
        (["--keep", 2], "'fraction': must be in"),
        ([], "give exactly one of --keep, --documents, --bytes and --tokens, not 0"),
        (["--keep", 0.1, "--bytes", "5M"], "and --tokens, not 2"),
        (["--keep", 0.1, "--tokenizer", "nowhere.json"], "'--tokenizer': counts the tokens of"),
        (["--keep", 0.1, "--method", "dsir,gais"], "several selectors need --sweep"),
        (["--keep", 0.1, "--sweep", "0.1"], "'--sweep': chooses nothing"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path, leadsman, raw, target, arguments, message):
    code, _, err = leadsman("select", raw, "-t", target, "-o", tmp_path / "out", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_warnings_where_a_choice_cannot_be_what_was_meant(tmp_path, leadsman, raw, target):
    common = ["-o", tmp_path / "all", "--rule", "top"]
    _, _, err = leadsman("select", raw, "-t", target, *common, "--tokens", "1G")
    assert "this is all there is" in err
    assert "far from the target" not in err
    other = tmp_path / "zh.jsonl"
    other.write_text("".join(json.dumps({"text": "人工智能是计算机科学的一个分支" * 9}) + "\n"))
    code, _, err = leadsman("select", raw, "-t", other, "-o", tmp_path / "x", "--keep", 0.1)
    assert code == 0
    assert "the sources are far from the target" in err


def test_dedup_names_its_methods_and_says_when_there_is_no_copy(tmp_path, leadsman, target):
    code, _, err = leadsman("dedup", target, "-o", tmp_path / "out", "--method", "jaccard")
    assert (code, err.count("\n")) == (2, 1)
    assert "must be one of minhash, exact, paragraph, line, semantic, not 'jaccard'" in err
    for extra in (["--prototypes", "0.5"], ["--method", "line", "--threshold", "0.5"]):
        code, _, err = leadsman("dedup", target, "-o", tmp_path / "out", *extra)
        assert (code, err.count("\n")) == (2, 1)
        assert extra[-2] in err
    assert "no copies were found" in leadsman("dedup", target, "-o", tmp_path / "out")[1]


@pytest.mark.parametrize(
    "arguments", [["sample", "--seed", "-1"], ["convert", "-o", "x", "--max-reject-rate", "2"]]
)
def test_values_that_cannot_be_are_refused(leadsman, raw, arguments):
    command, *options = arguments
    code, _, err = leadsman("corpus", command, raw, *options)
    assert code == 2
    assert "Traceback" not in err


def test_the_text_may_be_named(tmp_path, leadsman):
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps({"messages": [{"content": "Hi."}, {"content": "Yes?"}]}) + "\n")
    code, _, err = leadsman("corpus", "convert", path, "-o", tmp_path / "out")
    assert code == 2
    assert "line 1: no 'text', only messages (`corpus convert --text-field` reads another)" in err
    leadsman(
        "corpus", "convert", path, "-o", tmp_path / "out", "--text-field", "messages.content",
        "--max-document", "1k",
    )  # fmt: skip
    assert Corpus.open(tmp_path / "out").table(["text"])["text"].to_pylist() == ["Hi.\n\nYes?"]


def test_names_of_sources_are_printed_as_they_are(tmp_path, leadsman):
    rows = [{"text": "one two three", "source": "a[/b]\nc"}, {"text": "four", "source": "[red]"}]
    corpus = write_corpus(tmp_path / "in", rows)
    for command in (["corpus", "stats"], ["dedup", "-o", tmp_path / "out"]):
        _, out, _ = leadsman(*command, corpus.location)
        assert "a[/b]\\nc" in out
        assert "[red]" in out


def test_a_missing_input_is_named(tmp_path, leadsman):
    code, _, err = leadsman("dedup", tmp_path / "nowhere.jsonl", "-o", tmp_path / "out")
    assert code == 2
    assert "nowhere.jsonl: is not there" in err


def test_of_thousands_of_sources_the_largest_are_printed(tmp_path, leadsman):
    rows = [
        {"text": f"words of document {k} " * (1 + k % 40), "source": f"s{k}"} for k in range(900)
    ]
    corpus = write_corpus(tmp_path / "in", rows)
    for command in (["corpus", "stats"], ["dedup", "-o", tmp_path / "out"]):
        code, out, _ = leadsman(*command, corpus.location)
        assert code == 0
        assert "(871 smaller sources)" in out
        assert len(out.splitlines()) < 40
        assert "s39" in out  # one of the largest


@pytest.mark.parametrize("command", ["convert", "dedup"])
def test_a_damaged_input_among_others_is_set_aside(tmp_path, leadsman, raw, command):
    damaged = tmp_path / "bad.parquet"
    damaged.write_bytes(b"junk")
    words = ["corpus", "convert"] if command == "convert" else ["dedup"]
    out = tmp_path / "out"
    code, _, err = leadsman(*words, raw, damaged, "--out", out, "--max-reject-rate", 0.05)
    assert code == 0, err
    assert "bad.parquet: damaged after row 0" in err
    assert Corpus.open(out).documents == (61 if command == "convert" else 60)
    files = [pl.read_parquet(path)["file"] for path in out.glob("rejects/rows-*.parquet")]
    assert [Path(name).name for name in pl.concat(files)] == ["bad.parquet"]
    # One row of 62 is more than the default of a hundredth.
    code, _, err = leadsman(*words, raw, damaged, "--out", tmp_path / "strict")
    assert code == 2
    assert "bad.parquet" in err
