import numpy as np
import polars as pl
import pytest

from leadsman.corpus import Corpus, write_corpus
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.select import Policy, Selection, select
from leadsman.select.methods.dsir import DSIR
from leadsman.testing.selectors import SEA, WINE, draw_documents


@pytest.fixture
def raw(tmp_path):
    wine = [
        {"text": t, "source": "wine", "id": f"w{i}"}
        for i, t in enumerate(draw_documents(WINE, 300, 0))
    ]
    sea = [
        {"text": t, "source": "sea", "id": f"s{i}"}
        for i, t in enumerate(draw_documents(SEA, 100, 1))
    ]
    return [
        write_corpus(tmp_path / "wine", wine, shard_bytes=8000),
        write_corpus(tmp_path / "sea", sea, shard_bytes=8000),
    ]


@pytest.fixture
def target(tmp_path):
    return write_corpus(tmp_path / "target", [{"text": t} for t in draw_documents(SEA, 50, 2)])


def test_the_planted_source_is_found_and_the_report_adds_up(tmp_path, raw, target):
    report = select(raw, target, tmp_path / "out", policy=Policy(documents=100))
    assert {name: extent.documents for name, extent in report.kept.items()} == {"sea": 100}
    assert report.corpus.table(["id"])["id"].to_pylist() == [f"s{i}" for i in range(100)]
    assert report.offered["wine"].documents == 300
    # All of the target's kind is taken, so nearly all of the distance is gone.
    assert 0.9 * report.kl_raw < report.kl_reduction < report.kl_raw
    assert report.overlap_with_top == 1.0
    assert Selection.from_dict(report.to_dict()) == report


def test_scores_lie_beside_the_shards_and_the_shards_are_untouched(tmp_path, raw, target):
    before = [corpus.fingerprint for corpus in raw]
    report = select(raw, target, tmp_path / "out", policy=Policy(documents=10))
    assert [Corpus.open(corpus.location).fingerprint for corpus in raw] == before
    assert all(not corpus.verify() for corpus in raw)
    expected = DSIR().fit(Corpus.join(raw), target)
    for corpus in raw:
        for shard in corpus.shards:
            sidecar = f"{corpus.location}/scores/{report.scores_key}/{shard.name}"
            frame = pl.read_parquet(sidecar)
            batches = corpus.shard_batches(shard)
            scores = np.concatenate([expected.score(batch) for batch in batches])
            np.testing.assert_array_equal(frame["score"].to_numpy(), scores)


def test_workers_do_not_matter(tmp_path, raw, target):
    policy = Policy(rule="resample", fraction=0.3, effective_size=100)
    for workers in (1, 4):
        engine = ThreadEngine(workers=workers)
        select(raw, target, tmp_path / f"w{workers}", policy=policy, seed=5, engine=engine)
    one, four = (Corpus.open(tmp_path / f"w{w}") for w in (1, 4))
    assert one.fingerprint == four.fingerprint
    other = select(raw, target, tmp_path / "other", policy=policy, seed=6).corpus
    assert other.fingerprint != one.fingerprint


class PowerCut(BaseException):
    pass


def test_killed_at_any_write_a_second_run_gives_the_same(tmp_path, raw, target, monkeypatch):
    policy = Policy(rule="resample", fraction=0.5)
    options = {"policy": policy, "engine": ThreadEngine(workers=1), "shard_bytes": 10_000}
    whole = select(raw, target, tmp_path / "whole", **options)
    scores = [path for c in raw for path in Directory(c.location).glob("scores/*/*")]
    real, count, limit = Directory.write, [0], 0

    def counting(self, name, data):
        real(self, name, data)
        count[0] += 1
        if count[0] == limit:
            raise PowerCut

    monkeypatch.setattr(Directory, "write", counting)
    for corpus in raw:
        Directory(corpus.location).remove("scores")
    select(raw, target, tmp_path / "counted", **options)
    writes = count[0]
    for limit in range(1, writes, 4):
        for corpus in raw:
            Directory(corpus.location).remove("scores")
        count[0] = 0
        with pytest.raises(PowerCut):
            select(raw, target, tmp_path / f"cut{limit}", **options)
        again = select(raw, target, tmp_path / f"cut{limit}", **options)
        assert again.corpus.fingerprint == whole.corpus.fingerprint
        assert again.kept == whole.kept
    assert [path for c in raw for path in Directory(c.location).glob("scores/*/*")] == scores


def test_the_same_command_does_nothing_and_another_is_refused(tmp_path, raw, target):
    first = select(raw, target, tmp_path / "out", policy=Policy(documents=10))
    assert select(raw, target, tmp_path / "out", policy=Policy(documents=10)) == first
    with pytest.raises(InputError, match="already holds another corpus"):
        select(raw, target, tmp_path / "out", policy=Policy(documents=11))


def test_unknown_selectors_are_answered_with_names(tmp_path, raw, target):
    with pytest.raises(InputError, match="no selector is called 'dsri'; did you mean dsir"):
        select(raw, target, tmp_path / "out", selector="dsri", policy=Policy(documents=1))
