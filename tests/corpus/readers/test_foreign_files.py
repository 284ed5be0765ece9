"""Files as engineers have them: text under other names, other encodings, damage, odd paths."""

import codecs
import gzip
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadsman.corpus import Rejects, convert, read_source
from leadsman.errors import InputError

TEXTS = [f"Número {i}: depth 東 {'x' * (i % 7)}" for i in range(60)]
NESTED = [
    ("content", lambda text: {"content": text}),
    ("body.raw", lambda text: {"body": {"raw": text, "n": 1}}),
    ("a.b", lambda text: {"a.b": text}),
    (
        "messages.content",
        lambda text: {
            "messages": [
                {"role": "user", "content": text},
                {"role": "tool", "content": None},
                {"role": "assistant", "content": "Yes."},
            ]
        },
    ),
]


def rows(path, **options):
    return [row for batch in read_source(path, **options) for row in batch.to_pylist()]


def texts(path, **options):
    return [row["text"] for row in rows(path, **options)]


def lines(given):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in given)


@pytest.mark.parametrize(("field", "make"), NESTED, ids=[name for name, _ in NESTED])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_the_text_may_stand_under_another_name(tmp_path, field, make, kind):
    path = tmp_path / f"in.{kind}"
    given = [make(text) | {"url": "u"} for text in TEXTS]
    if kind == "jsonl":
        path.write_text(lines(given))
    else:
        pq.write_table(pa.Table.from_pylist(given), path)
    rejects = Rejects()
    read = texts(path, text_field=field, rejects=rejects)
    end = "\n\nYes." if field == "messages.content" else ""
    assert read == [text + end for text in TEXTS]
    assert rejects.left_out == {"url"}
    with pytest.raises(InputError, match=f"'text'.*{field.partition('.')[0]}.*--text-field"):
        rows(path)


def test_a_text_that_is_no_string_says_what_it_is(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(lines([{"messages": [{"role": "user", "content": "x"}]}]))
    with pytest.raises(InputError, match=r"a list of objects, .* as messages\.role"):
        rows(path, text_field="messages")
    table = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [["a", "b"]]}), table)
    with pytest.raises(InputError, match=r"'text' is list<.*>, expected strings"):
        rows(table)
    with pytest.raises(InputError, match="cannot be 'id'"):
        rows(path, text_field="id")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings_are_read(tmp_path, encoding):
    (tmp_path / "in.jsonl").write_text(lines({"text": text} for text in TEXTS), encoding=encoding)
    assert texts(tmp_path / "in.jsonl") == TEXTS
    (tmp_path / "in.txt").write_text(TEXTS[0], encoding=encoding)
    assert texts(tmp_path / "in.txt") == TEXTS[:1]


def test_a_cut_utf_16_file_gives_what_was_before(tmp_path):
    data = codecs.BOM_UTF16_LE + lines({"text": text} for text in TEXTS).encode("utf-16-le")
    (tmp_path / "in.jsonl").write_bytes(data[:-3])
    rejects = Rejects()
    assert texts(tmp_path / "in.jsonl", rejects=rejects, max_reject_rate=0.1) == TEXTS[:-1]
    assert "damaged after line 59" in str(rejects.first)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("Ärger".encode("latin-1"), "not UTF-8 at byte 0"),
        ("plain".encode("utf-16-le"), "holds NUL bytes"),
        (b"%PDF-1.5\n\x93\x8c", "not UTF-8 at byte 9"),
    ],
)
def test_files_that_are_no_text_are_quarantined(tmp_path, data, reason):
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "b.txt").write_text("good")
    rejects = Rejects()
    assert texts(tmp_path, rejects=rejects, max_reject_rate=0.5) == ["good"]
    assert reason in rejects.first.reason


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_is_before_damage_is_read_and_frames_follow_each_other(tmp_path, kind):
    suffix = {"gzip": "gz", "zstd": "zst"}[kind]
    data = lines({"text": f"{i} {os.urandom(40).hex()}"} for i in range(3000)).encode()
    frames = [
        pa.compress(data[i : i + 9999], kind, asbytes=True) for i in range(0, len(data), 9999)
    ]
    path = tmp_path / f"in.jsonl.{suffix}"
    path.write_bytes(b"".join(frames))
    assert len(rows(path)) == 3000
    path.write_bytes(b"".join(frames)[:-2000])
    rejects = Rejects()
    read = rows(path, rejects=rejects)
    assert len(read) > 2000
    assert rejects.count == 1
    assert rejects.first.reason.startswith(f"damaged after line {len(read)}: ")


def test_of_a_packed_file_with_something_behind_it_all_is_read(tmp_path):
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(lines({"text": text} for text in TEXTS).encode()) + b"\0" * 99)
    rejects = Rejects()
    assert texts(path, rejects=rejects, max_reject_rate=0.1) == TEXTS
    assert rejects.first.reason.startswith("damaged after line 60: ")


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())],
)
def test_columns_that_hold_strings_otherwise(tmp_path, kind):
    column = pa.array(TEXTS)
    column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
    source = pa.array(["a", "", None] * 20).dictionary_encode()
    pq.write_table(pa.table({"text": column, "source": source}), tmp_path / "in.parquet")
    read = rows(tmp_path / "in.parquet")
    assert [row["text"] for row in read] == TEXTS
    assert [row["source"] for row in read] == ["a", "in", "in"] * 20


def test_bytes_of_a_table_that_are_not_utf_8_are_quarantined(tmp_path):
    pq.write_table(pa.table({"text": [b"\xe9t\xe9"]}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="not UTF-8"):
        rows(tmp_path / "in.parquet")


def test_nested_metadata_is_kept_as_json(tmp_path):
    table = pa.table({"text": TEXTS[:2], "meta": [{"a": 1, "é": [2]}, None], "n": [1.5, None]})
    pq.write_table(table, tmp_path / "in.parquet")
    read = rows(tmp_path / "in.parquet", metadata=["meta", "n"])
    assert [row["meta"] for row in read] == ['{"a": 1, "é": [2]}', None]
    assert [row["n"] for row in read] == ["1.5", None]


def test_an_empty_name_of_a_source_is_none(tmp_path):
    given = [{"text": "a", "source": ""}, {"text": "b"}, {"text": "c", "source": "own"}]
    (tmp_path / "in.jsonl").write_text(lines(given))
    assert [row["source"] for row in rows(tmp_path / "in.jsonl")] == ["in", "in", "own"]


def test_paths_with_marks_of_patterns_are_themselves(tmp_path):
    folder = tmp_path / "data [2026] für 東"
    folder.mkdir()
    (folder / "-part[1].jsonl").write_text(lines([{"text": "x"}]))
    assert texts(folder) == texts(folder / "-part[1].jsonl") == ["x"]
    assert convert(folder, tmp_path / "out").corpus.sources.keys() == {"data [2026] für 東"}
    with pytest.raises(InputError, match="matches no file"):
        rows(f"{tmp_path}/none*.jsonl")


def test_links_in_a_tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a/x.txt").write_text("x")
    (tree / "a/up").symlink_to("..")
    (tree / "gone.txt").symlink_to("/nowhere/at/all.txt")
    rejects = Rejects()
    assert texts(tree, rejects=rejects, max_reject_rate=0.5) == ["x"]
    assert (rejects.count, dict(rejects.skipped)) == (1, {"link to a directory; name it": 1})


def test_a_suffix_may_be_given_without_its_dot(tmp_path):
    (tmp_path / "a.HTML").write_text("<p>x")
    assert texts(tmp_path, text_suffixes=["html"]) == ["<p>x"]
