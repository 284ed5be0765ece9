import json

import pyarrow as pa
import pytest

from leadsman.corpus import Corpus, Extent, Source, deduplicate, write_corpus
from leadsman.errors import InputError
from leadsman.files import Directory

ROWS = [
    {"id": f"d{i}", "text": f"document {i} " * (i + 1), "source": "ab"[i % 2]} for i in range(50)
]


def test_what_is_written_is_read(tmp_path):
    written = write_corpus(tmp_path / "c", ROWS, shard_bytes=2000)
    corpus = Corpus.open(tmp_path / "c")
    assert corpus == written
    assert [row for batch in corpus.batches(batch_size=7) for row in batch.to_pylist()] == ROWS
    assert corpus.documents == 50
    assert corpus.text_bytes == sum(len(row["text"]) for row in ROWS)
    assert all(shard.text_bytes <= 2000 for shard in corpus.shards)
    assert len(corpus.shards) > 5
    assert corpus.sources["a"].documents == corpus.sources["b"].documents == 25
    assert sum(corpus.sources.values(), Extent()) == Extent(50, corpus.text_bytes)
    assert corpus.verify() == []
    assert next(corpus.batches(["id"])).schema.names == ["id"]


def test_the_manifest_says_what_is_there(tmp_path):
    corpus = write_corpus(tmp_path / "c", ROWS)
    manifest = json.loads((tmp_path / "c/manifest.json").read_bytes())
    assert manifest["documents"] == 50
    assert manifest["text_bytes"] == corpus.text_bytes
    assert manifest["schema"] == {"id": "string", "text": "large_string", "source": "string"}
    assert [shard["name"] for shard in manifest["shards"]] == ["shard-00000.parquet"]


def test_the_same_documents_give_the_same_bytes(tmp_path):
    one = write_corpus(tmp_path / "one", ROWS, shard_bytes=2000)
    batches = list(one.batches(batch_size=3))
    two = write_corpus(tmp_path / "two", batches, shard_bytes=2000)
    assert one.fingerprint == two.fingerprint


def test_a_second_write_replaces_the_first(tmp_path):
    write_corpus(tmp_path / "c", ROWS, shard_bytes=500)
    write_corpus(tmp_path / "c", ROWS[:3])
    assert Corpus.open(tmp_path / "c").documents == 3
    assert len(list((tmp_path / "c").glob("shard-*"))) == 1


def test_metadata_is_kept_with_its_type(tmp_path):
    rows = [{"text": "x", "year": 1999}, {"text": "y", "year": None}]
    corpus = write_corpus(tmp_path / "c", rows, source="s")
    assert corpus.schema["year"] == "int64"
    assert corpus.table(["year"])["year"].to_pylist() == [1999, None]


def test_a_writer_that_fails_leaves_no_corpus(tmp_path):
    def documents():
        yield pa.RecordBatch.from_pylist(ROWS)
        raise RuntimeError("the power went")

    write_corpus(tmp_path / "c", ROWS)
    with pytest.raises(RuntimeError):
        write_corpus(tmp_path / "c", documents(), shard_bytes=100)
    with pytest.raises(InputError, match=r"is not a corpus \(no manifest.json\)"):
        Corpus.open(tmp_path / "c")


def test_a_full_disk_is_one_sentence_and_no_corpus(tmp_path, monkeypatch):
    real = Directory.write

    def write(self, name, data):
        if name == "shard-00002.parquet":
            monkeypatch.setattr("os.replace", full)
        real(self, name, data)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Directory, "write", write)
    with pytest.raises(InputError, match="No space left on device; free space") as caught:
        write_corpus(tmp_path / "c", ROWS, shard_bytes=2000)
    assert caught.value.file.endswith("shard-00002.parquet")
    monkeypatch.undo()
    assert not list((tmp_path / "c").glob(".*.tmp"))
    with pytest.raises(InputError, match="not a corpus"):
        Corpus.open(tmp_path / "c")
    assert write_corpus(tmp_path / "c", ROWS, shard_bytes=2000).verify() == []


def test_damage_is_found_and_named(tmp_path):
    corpus = write_corpus(tmp_path / "c", ROWS, shard_bytes=2000)
    changed = tmp_path / "c" / corpus.shards[1].name
    changed.write_bytes(changed.read_bytes()[:-50])
    (tmp_path / "c" / corpus.shards[2].name).unlink()
    assert corpus.verify() == [
        "shard-00001.parquet: checksum differs; it was changed or damaged",
        "shard-00002.parquet: missing",
    ]
    with pytest.raises(InputError, match=r"shard-00001\.parquet: cannot be read"):
        list(corpus.batches())
    with pytest.raises(InputError, match="in the manifest but not there"):
        list(corpus.shard_batches(corpus.shards[2]))


@pytest.mark.parametrize("manifest", ["{", "[]", '{"format": "other"}', '{"format": 3}'])
def test_a_bad_manifest_is_named(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=r"manifest\.json: not the manifest of a corpus"):
        Corpus.open(tmp_path)


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    corpus = write_corpus(tmp_path / "c", ROWS)
    with pytest.raises(InputError, match=r"no column 'url'; the columns are id, text, source"):
        list(corpus.batches(["url"]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "1"}], "there is no column 'text'; the columns are id"),
        ([{"text": "a"}, {"text": None}], "document 1 has no text"),
        ([{"text": "\ud800"}], "cannot be stored"),
    ],
)
def test_documents_without_text_are_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        write_corpus(tmp_path / "c", rows)


def test_joined_corpora_read_as_one(tmp_path):
    one = write_corpus(tmp_path / "one", ROWS[:20])
    two = write_corpus(tmp_path / "two", [row | {"year": 1} for row in ROWS[20:]])
    joined = Corpus.join([one, two])
    assert joined.table().to_pylist() == ROWS
    assert joined.sources == write_corpus(tmp_path / "both", ROWS).sources
    assert {i: row["id"] for i, row in joined.take([49, 3, 20], ["id"]).items()} == {
        3: "d3",
        20: "d20",
        49: "d49",
    }


def test_a_source_says_how_much_of_it_can_be_read(tmp_path):
    corpus = write_corpus(tmp_path / "c", ROWS)
    assert Source("s", corpus).revealed_fraction == 1.0
    partly = Source("s", corpus, declared_bytes=4 * corpus.text_bytes)
    assert partly.revealed_fraction == 0.25
    with pytest.raises(InputError, match="declares 10 bytes but"):
        Source("s", corpus, declared_bytes=10)
    with pytest.raises(InputError, match="price"):
        Source("s", corpus, price=-1.0)


def test_a_corpus_just_written_and_one_opened_give_the_same_bytes(tmp_path):
    rows = [{**row, "z": "1", "author": "a"} for row in ROWS]
    written = write_corpus(tmp_path / "c", rows)
    opened = Corpus.open(tmp_path / "c")
    assert list(written.schema) == list(opened.schema) == ["id", "text", "source", "author", "z"]
    for name, corpus in (("one", written), ("two", opened)):
        deduplicate(corpus, tmp_path / name, method="exact")
    first, second = (tmp_path / name / "shard-00000.parquet" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
