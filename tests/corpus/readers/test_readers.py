import gzip
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadsman.corpus import Rejects, convert, read_source, write_corpus
from leadsman.corpus.readers import jsonl as jsonl_module
from leadsman.errors import InputError

ROWS = [{"id": f"d{i}", "text": f"text {i} é 東", "source": "s"} for i in range(300)]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read(path, **options):
    return [row for batch in read_source(path, **options) for row in batch.to_pylist()]


def compressed(data, kind):
    if kind == "":
        return data
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, {".gz": "gzip", ".zst": "zstd"}[kind]) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("block_bytes", [64, 1000, 4 << 20])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_json_lines_are_read_whatever_the_blocks(tmp_path, monkeypatch, suffix, block_bytes):
    monkeypatch.setattr(jsonl_module, "BLOCK_BYTES", block_bytes)
    path = tmp_path / f"in.jsonl{suffix}"
    path.write_bytes(compressed(lines(ROWS).rstrip(b"\n"), suffix))
    assert read(path) == ROWS


def test_ids_and_sources_are_made_where_there_are_none(tmp_path):
    path = tmp_path / "web.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n{"text": "b", "id": 7}\n{"text": "c", "source": "x"}\n')
    assert [(row["id"], row["source"]) for row in read(path)] == [
        ("web.jsonl:1", "web"),
        ("7", "web"),
        ("web.jsonl:4", "x"),
    ]
    assert {row["source"] for row in read(path, source="mine")} == {"mine"}


def test_metadata_is_kept_when_asked_for(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines([{"text": "a", "url": "u", "tags": [1, 2]}, {"text": "b"}]))
    rows = read(path, metadata=["url", "tags"])
    assert [(row["url"], row["tags"]) for row in rows] == [("u", "[1, 2]"), (None, None)]


BAD = [
    (b"{not json", "not JSON: Expecting property name"),
    (b"[1]", "a JSON list, expected an object with 'text'"),
    (b'{"id": "x"}', "no 'text', only id (`corpus convert --text-field` reads another)"),
    (b'{"text": null}', "no 'text', only text"),
    (b'{"text": 5}', "'text' is int 5, expected a string"),
    (b'{"text": "\\ud800"}', "not Unicode: surrogates not allowed"),
    (b'{"text": "\xff"}', "not JSON: 'utf-8' codec"),
    (b'{"text": "a"', "not JSON: Expecting"),
    (b'{"text":' + b"[" * 100_000, "not JSON"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=range(len(BAD)))
def test_bad_lines_are_quarantined_with_their_number(tmp_path, bad, reason):
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(ROWS[:150]) + bad + b"\n" + lines(ROWS[150:]))
    report = convert(path, tmp_path / "out")
    assert report.corpus.table().to_pylist() == ROWS
    assert report.rejected == 1
    frame = pl.read_parquet(tmp_path / "out/rejects/*.parquet")
    assert frame["line"].to_list() == [151]
    assert frame["file"].to_list() == [str(path)]
    assert frame["reason"][0].startswith(reason)


def test_too_many_bad_lines_stop_the_job(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(ROWS[:99]) + b"{}\n{}\n")
    with pytest.raises(
        InputError, match=r"2 of 101 rows .* max_reject_rate 0.01.*line 100: no 'te"
    ):
        convert(path, tmp_path / "out")
    assert convert(path, tmp_path / "out", max_reject_rate=0.02).rejected == 2


@pytest.mark.parametrize("first", [b"id,text\n1,hello\n", b"[\n", b'"text"\n'])
def test_a_file_that_is_not_json_lines_is_named_with_its_line(tmp_path, first):
    path = tmp_path / "in.jsonl"
    path.write_bytes(first)
    with pytest.raises(InputError, match=r"in\.jsonl, line 1: (not JSON|a JSON str, expected)"):
        read(path)


def test_a_truncated_gzip_gives_what_was_before_the_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl_module, "BLOCK_BYTES", 1000)
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(lines(ROWS), mtime=0)[:-20])
    rejects = Rejects()
    rows = read(path, rejects=rejects)
    assert rows == ROWS[: len(rows)]
    assert len(rows) > 250
    assert rejects.count == 1
    assert f"damaged after line {len(rows)}" in str(rejects.first)


def test_a_line_longer_than_allowed_is_skipped_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl_module, "BLOCK_BYTES", 1000)
    path = tmp_path / "in.jsonl.gz"
    bomb = b'{"text": "' + b"x" * 1_000_000 + b'"}\n'
    path.write_bytes(gzip.compress(lines(ROWS[:150]) + bomb + lines(ROWS[150:])))
    rejects = Rejects()
    assert read(path, rejects=rejects, max_document_bytes=5000) == ROWS
    assert (rejects.count, rejects.first.line) == (1, 151)
    assert "longer than max_document_bytes (5000)" in rejects.first.reason


def test_parquet_is_read(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.Table.from_pylist([{"text": "a", "n": 1}, {"text": "b", "n": 2}]), path)
    assert read(path, metadata=["n"]) == [
        {"id": "in.parquet:1", "text": "a", "source": "in", "n": "1"},
        {"id": "in.parquet:2", "text": "b", "source": "in", "n": "2"},
    ]


def test_parquet_without_text_names_its_columns(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"body": ["a"], "url": ["b"]}), path)
    with pytest.raises(InputError, match=r"no column 'text'; the columns are body, url"):
        read(path)


def test_parquet_rows_without_text_are_quarantined(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [*["a"] * 200, None]}), path)
    rejects = Rejects()
    assert len(read(path, rejects=rejects)) == 200
    assert str(rejects.first) == f"{path}, line 201: no 'text'"


def test_parquet_with_numbers_for_text_is_refused(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [1, 2]}), path)
    with pytest.raises(InputError, match="'text' is int64, expected strings"):
        read(path)


def test_a_damaged_parquet_in_a_directory_is_quarantined(tmp_path):
    for name in ("a", "b", "c"):
        pq.write_table(pa.table({"text": ["x"] * 200}), tmp_path / f"{name}.parquet")
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    rejects = Rejects()
    assert len(read(tmp_path, rejects=rejects)) == 400
    assert rejects.first.file.endswith("b.parquet")
    assert rejects.first.reason.startswith("damaged after row 0")


def test_a_tree_of_text_is_one_document_a_file(tmp_path):
    tree = tmp_path / "docs"
    (tree / "sub").mkdir(parents=True)
    (tree / "a.md").write_text("# Ä", encoding="utf-8")
    (tree / "sub/b.txt").write_text("b")
    (tree / "sub/empty.txt").write_text(" \n")
    (tree / "settings.json").write_text("{")
    (tree / "image.png").write_bytes(b"\x89PNG")
    assert [(row["id"], row["source"]) for row in read(tree)] == [
        ("a.md", "docs"),
        ("sub/b.txt", "docs"),
    ]
    (tree / "latin.txt").write_bytes("Ä".encode("latin-1"))
    rejects = Rejects()
    read(tree, rejects=rejects, max_reject_rate=0.5)
    assert rejects.first.reason == "not UTF-8 at byte 0"


def test_a_corpus_is_read_as_it_is(tmp_path):
    corpus = write_corpus(tmp_path / "c", ROWS)
    assert read(tmp_path / "c") == ROWS
    assert convert(tmp_path / "c", tmp_path / "d").corpus.fingerprint == corpus.fingerprint


def test_a_pattern_reads_what_it_matches(tmp_path):
    for part in range(3):
        (tmp_path / f"part-{part}.json").write_bytes(lines(ROWS[part * 100 : part * 100 + 100]))
    (tmp_path / "other.jsonl").write_bytes(b"{}")
    assert read(tmp_path / "part-*.json") == ROWS


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nowhere.jsonl", "is not there"),
        (lambda p: _file(p / "in.docx", b"x"), "cannot tell what this is from its name"),
        (lambda p: _file(p / "in.jsonl", b""), "holds no documents"),
        (lambda p: _file(p / "in.jsonl", b"\n\n"), "holds no documents"),
        (lambda p: _file(p / "d/in.docx", b"x").parent, r"no documents \(1 files of other kinds"),
        (lambda p: p / "*.jsonl", "matches no file"),
        (
            lambda p: _file(p / "in.parquet", b"junk"),
            "no document can be read.*damaged after row 0",
        ),
        (lambda p: "nosuch://x/y", "cannot be opened"),
    ],
)
def test_a_source_without_documents_says_why(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        read(make(tmp_path))


def _file(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def test_hostile_ids_stay_inside_the_output(tmp_path):
    rows = [{"id": "../../evil", "text": "a"}, {"id": "/etc/passwd", "text": "b"}]
    path = _file(tmp_path / "in.jsonl", lines(rows))
    convert(path, tmp_path / "deep/out")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "deep/out/manifest.json",
        "deep/out/report.json",
        "deep/out/shard-00000.parquet",
        "in.jsonl",
    ]


def test_a_bad_first_line_is_set_aside_like_any_other(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"not json\n[1]\n" + lines(ROWS))
    rejects = Rejects()
    assert read(path, rejects=rejects, max_reject_rate=0.5) == ROWS
    assert (rejects.count, rejects.first.line) == (2, 1)
