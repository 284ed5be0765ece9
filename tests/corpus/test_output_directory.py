"""Nothing that is there is written over unless a job of the same kind made it."""

import json

import pytest

from leadsman.corpus import Corpus, convert, deduplicate, write_corpus
from leadsman.errors import InputError


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "in/raw.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps({"text": f"text {i}"}) + "\n" for i in range(50)))
    return path


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_corpus_is_not_converted_onto_itself(tmp_path, raw):
    convert(raw, tmp_path / "one")
    before = bytes_of(tmp_path / "one")
    for inputs in (tmp_path / "one", tmp_path / "one/shard-*.parquet", tmp_path):
        with pytest.raises(InputError, match="is, holds or lies in the input"):
            convert(inputs, tmp_path / "one")
    assert bytes_of(tmp_path / "one") == before


def test_files_of_others_are_not_replaced(tmp_path, raw):
    place = tmp_path / "theirs"
    place.mkdir()
    (place / "shard-00007.parquet").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"holds shard-00007\.parquet, which would be replaced"):
        convert(raw, place)
    corpus = write_corpus(tmp_path / "corpus", [{"text": "a"}, {"text": "b"}])
    with pytest.raises(InputError, match=r"holds shard-00007\.parquet, which would be replaced"):
        deduplicate(corpus, place)
    assert bytes_of(place) == {"shard-00007.parquet": b"precious"}


def test_the_result_of_a_job_is_not_converted_over(tmp_path, raw):
    corpus = convert(raw, tmp_path / "one").corpus
    deduplicate(corpus, tmp_path / "two")
    with pytest.raises(InputError, match="already holds the result of another command"):
        convert(raw, tmp_path / "two")
    assert Corpus.open(tmp_path / "two").verify() == []


def test_a_wrong_input_leaves_the_corpus_that_is_there(tmp_path, raw):
    convert(raw, tmp_path / "one")
    with pytest.raises(InputError, match="is not there"):
        convert([raw, tmp_path / "typo.jsonl"], tmp_path / "one")
    assert Corpus.open(tmp_path / "one").documents == 50
    assert convert(raw, tmp_path / "one").corpus.documents == 50
