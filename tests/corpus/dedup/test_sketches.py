"""Shards that are sketched while they are written: the same result, and nothing is done twice."""

import hashlib
import json
import random
from pathlib import Path

import pytest

from leadsman.corpus import Corpus, convert, deduplicate
from leadsman.corpus.dedup import documents
from leadsman.corpus.dedup.settings import DedupSettings
from leadsman.corpus.readers import jsonl
from leadsman.files import Directory

SETTINGS = {"n": 3, "bands": 14, "rows": 8}


class PowerCut(BaseException):
    pass


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """300 documents, 100 near copies, 50 exact ones, one bad line, and an id that comes twice."""
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 20_000)
    generator = random.Random(0)
    texts = [" ".join(generator.choices("abcdefghij", k=100)) for _ in range(300)]
    texts += [text.replace("a b", "a z") for text in texts[:100]] + texts[200:250]
    lines = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts)]
    lines[150:150] = ["no object", lines[7]]
    file = tmp_path / "raw.jsonl"
    file.write_text("\n".join(lines))
    return file


def tree(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(Path(path).rglob("*"))
        if file.is_file() and file.name != "report.json"
    }


def sketch_none(index, **_):
    raise AssertionError(f"shard {index} was sketched again")


@pytest.mark.parametrize("method", ["minhash", "exact"])
def test_the_result_is_that_of_shards_sketched_later(tmp_path, raw, monkeypatch, method):
    sketch = DedupSettings(method=method, **SETTINGS)
    options = {"shard_bytes": 10_000, "max_reject_rate": 0.1}
    plain = convert(raw, tmp_path / "plain", **options).corpus
    beside = convert(raw, tmp_path / "beside", sketch=sketch, **options).corpus
    assert beside.fingerprint == plain.fingerprint
    assert len(beside.shards) > 5
    later = deduplicate(plain, tmp_path / "later", method=method, **SETTINGS)
    monkeypatch.setattr(documents, "sketch_shard", sketch_none)
    now = deduplicate(beside, tmp_path / "now", method=method, **SETTINGS)
    assert tree(tmp_path / "now") == tree(tmp_path / "later")
    assert now.documents_removed == later.documents_removed > 45
    with pytest.raises(AssertionError, match="sketched again"):
        deduplicate(beside, tmp_path / "other", method=method, seed=1, **SETTINGS)


def test_killed_at_any_write_a_second_run_gives_the_same(tmp_path, raw, monkeypatch):
    sketch = DedupSettings(**SETTINGS)
    options = {"shard_bytes": 10_000, "max_reject_rate": 0.1, "sketch": sketch}
    real, count = Directory.write, [0]

    def counting(self, name, data):
        real(self, name, data)
        count[0] += 1
        if count[0] == limit:
            raise PowerCut

    limit = 0
    monkeypatch.setattr(Directory, "write", counting)
    whole = convert(raw, tmp_path / "whole", **options).corpus
    writes = count[0]
    deduplicate(whole, tmp_path / "kept", **SETTINGS)
    for limit in range(2, writes, 5):
        count[0] = 0
        place = tmp_path / f"cut{limit}"
        with pytest.raises(PowerCut):
            convert(raw, place, **options)
        count[0] = -(10**9)
        assert convert(raw, place, **options).corpus.fingerprint == whole.fingerprint
        deduplicate(Corpus.open(place), tmp_path / f"kept{limit}", **SETTINGS)
        assert tree(tmp_path / f"kept{limit}") == tree(tmp_path / "kept")
