import hashlib
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadsman.corpus import Corpus, DedupReport, deduplicate, write_corpus
from leadsman.corpus.dedup import key_ranges
from leadsman.engine import LocalEngine, ThreadEngine
from leadsman.errors import InputError
from leadsman.files import Directory

WORDS = [f"word{i}" for i in range(3000)]


def essay(generator, words=200):
    return " ".join(generator.choices(WORDS, k=words))


def edited(text, generator, share):
    """Replace a share of the words, at least one."""
    words = text.split()
    for place in generator.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = f"edit{generator.getrandbits(64)}"
    return " ".join(words)


def jaccard(one, two, n=5):
    sets = []
    for text in (one, two):
        words = text.lower().split()
        size = min(n, len(words))
        sets.append({tuple(words[i : i + size]) for i in range(len(words) - size + 1)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.fixture(scope="module")
def planted():
    """400 essays; 100 exact copies in other clothes, 200 copies with 2 % of the words edited."""
    generator = random.Random(0)
    rows = [{"id": f"o{i}", "text": essay(generator), "source": "first"} for i in range(400)]
    for i in range(100):
        text = rows[i]["text"].upper().replace(" ", "  \n") + " "
        rows.append({"id": f"e{i}", "text": text, "source": "second"})
    for i in range(200):
        text = edited(rows[i + 100]["text"], generator, 0.02)
        rows.append({"id": f"n{i}", "text": text, "source": "second"})
    rows += [{"id": f"u{i}", "text": essay(generator), "source": "second"} for i in range(50)]
    return rows


def tree(path):
    """Every file below a directory with its checksum."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(Path(path).rglob("*"))
        if file.is_file() and file.name != "report.json"
    }


def test_planted_copies_are_found_and_nothing_else(tmp_path, planted):
    corpus = write_corpus(tmp_path / "raw", planted, shard_bytes=100_000)
    report = deduplicate(corpus, tmp_path / "out")
    rejects = pl.read_parquet(tmp_path / "out/rejects/*.parquet")
    texts = {row["id"]: row["text"] for row in planted}
    removed = set(rejects["id"])
    assert {f"e{i}" for i in range(100)} <= removed
    near = [f"n{i}" for i in range(200) if jaccard(texts[f"n{i}"], texts[f"o{i + 100}"]) >= 0.7]
    assert len(near) > 150
    assert len(removed & set(near)) / len(near) >= 0.96
    assert not removed & {f"u{i}" for i in range(50)}
    for row in rejects.filter(reason="near copy").to_dicts():
        true = jaccard(texts[row["id"]], texts[row["kept_id"]])
        assert row["jaccard"] == pytest.approx(true, abs=1e-6)
        assert true >= 0.7
        assert row["kept_id"] not in removed
    assert report.precision == 1.0
    assert report.removed["exact copy"].documents == 100
    kept = [row for row in planted if row["id"] not in removed]
    assert report.corpus.table().to_pylist() == kept
    assert report.documents_removed == len(removed)
    assert report.offered == corpus.sources
    assert any("source 'second' loses" in warning for warning in report.warnings)


def test_method_exact_leaves_near_copies(tmp_path, planted):
    corpus = write_corpus(tmp_path / "raw", planted)
    report = deduplicate(corpus, tmp_path / "out", method="exact")
    assert {name: e.documents for name, e in report.removed.items()} == {"exact copy": 100}


@given(st.lists(st.text("ab \n", max_size=6), min_size=1, max_size=12))
@settings(max_examples=30)
def test_small_corpora_agree_with_brute_force(tmp_path_factory, texts):
    # With one row a band, sets that share a shingle surely share a band soon; at threshold 1
    # every pair of equal sets does: the result is that of comparing all pairs.
    place = tmp_path_factory.mktemp("d")
    corpus = write_corpus(place / "raw", [{"id": str(i), "text": t} for i, t in enumerate(texts)])
    deduplicate(corpus, place / "out", n=2, bands=4, rows=1, threshold=1.0)
    kept_sets, expected = [], []
    for i, text in enumerate(texts):
        words = text.lower().split()
        size = min(2, len(words))
        # Documents without words are copies only of each other.
        key = {tuple(words[j : j + size]) for j in range(len(words) - size + 1)} if words else None
        if key not in kept_sets:
            kept_sets.append(key)
            expected.append(str(i))
    got = Corpus.open(place / "out").table(["id"])["id"].to_pylist()
    assert got == expected


def test_a_chain_of_edits_keeps_what_is_far_from_all_kept(tmp_path):
    generator = random.Random(1)
    texts = [essay(generator, 400)]
    for _ in range(12):
        texts.append(edited(texts[-1], generator, 0.02))
    corpus = write_corpus(
        tmp_path / "raw", [{"id": str(i), "text": t} for i, t in enumerate(texts)]
    )
    report = deduplicate(corpus, tmp_path / "out", bands=60, rows=2)
    kept: list[str] = []
    for text in texts:
        if not any(jaccard(text, other) >= 0.7 for other in kept):
            kept.append(text)
    assert len(kept) > 1
    assert report.corpus.table(["text"])["text"].to_pylist() == kept
    assert report.proposed == len(texts) - 1


def test_threads_and_sharding_do_not_matter(tmp_path, planted):
    one = write_corpus(tmp_path / "one", planted, shard_bytes=50_000)
    many = write_corpus(tmp_path / "many", planted, shard_bytes=1 << 20)
    for name, workers in [("a", 1), ("b", 4)]:
        engine = ThreadEngine(workers=workers)
        deduplicate(one, tmp_path / name, engine=engine, shard_bytes=80_000)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    other = deduplicate(many, tmp_path / "c")
    assert other.corpus.table().equals(Corpus.open(tmp_path / "a").table())


def test_ranges_of_hashes_do_not_matter(tmp_path, planted, monkeypatch):
    corpus = write_corpus(tmp_path / "raw", planted, shard_bytes=50_000)
    deduplicate(corpus, tmp_path / "one")
    monkeypatch.setattr(key_ranges, "RANGE_DOCUMENTS", 60)
    deduplicate(corpus, tmp_path / "many")
    assert tree(tmp_path / "one") == tree(tmp_path / "many")


@pytest.mark.slow
def test_processes_give_the_bytes_that_threads_give(tmp_path, planted):
    corpus = write_corpus(tmp_path / "raw", planted, shard_bytes=50_000)
    deduplicate(corpus, tmp_path / "threads", shard_bytes=80_000)
    deduplicate(corpus, tmp_path / "processes", shard_bytes=80_000, engine=LocalEngine(workers=2))
    assert tree(tmp_path / "threads") == tree(tmp_path / "processes")


class PowerCut(BaseException):
    pass


def test_killed_at_any_write_a_second_run_gives_the_same(tmp_path, planted, monkeypatch):
    corpus = write_corpus(tmp_path / "raw", planted[::7], shard_bytes=60_000)
    options = {"shard_bytes": 50_000, "engine": ThreadEngine(workers=1)}
    deduplicate(corpus, tmp_path / "whole", **options)
    real, count = Directory.write, [0]

    def counting(self, name, data):
        real(self, name, data)
        count[0] += 1
        if count[0] == limit:
            raise PowerCut

    limit = 0
    monkeypatch.setattr(Directory, "write", counting)
    deduplicate(corpus, tmp_path / "counted", **options)
    writes = count[0]
    assert writes > 15
    for limit in range(1, writes, 4):
        out = tmp_path / f"cut{limit}"
        count[0] = 0
        with pytest.raises(PowerCut):
            deduplicate(corpus, out, **options)
        with pytest.raises(InputError, match="not a corpus"):
            Corpus.open(out)
        finished = [
            out / f"shard-{marker.stem}.parquet" for marker in out.glob(".work/shards/*.json")
        ]
        before = [path.stat().st_mtime_ns for path in finished]
        count[0] = -(10**9)
        deduplicate(corpus, out, **options)
        assert tree(out) == tree(tmp_path / "whole")
        assert [path.stat().st_mtime_ns for path in finished] == before


def test_done_work_is_not_done_again(tmp_path, planted):
    corpus = write_corpus(tmp_path / "raw", planted)
    first = deduplicate(corpus, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert deduplicate(corpus, tmp_path / "out") == first
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    assert DedupReport.from_dict(first.to_dict()) == first
    with pytest.raises(InputError, match="already holds another corpus"):
        deduplicate(corpus, tmp_path / "out", threshold=0.9)
    with pytest.raises(InputError, match="both input and output"):
        deduplicate(corpus, tmp_path / "raw")


def test_a_source_that_becomes_empty_stops_the_job_only_if_asked(tmp_path, planted):
    one = write_corpus(tmp_path / "one", planted[:10])
    two = write_corpus(tmp_path / "two", [r | {"source": "mirror"} for r in planted[:10]])
    with pytest.raises(InputError, match="source 'mirror' becomes empty: all its 10 documents"):
        deduplicate([one, two], tmp_path / "out", stop_source_loss=1.0)
    assert not (tmp_path / "out/manifest.json").exists()
    report = deduplicate([one, two], tmp_path / "out")
    assert set(report.kept) == set(report.offered) - {"mirror"}
    assert len(report.warnings) == 1
    assert "1 of " in report.warnings[0]
    assert report.warnings[0].endswith("fewer than 100 documents; 1 of them become empty")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold.*must be in"),
        ({"threshold": 1.5}, "threshold.*must be in"),
        ({"method": "fuzzy"}, "must be minhash or exact"),
        ({"rows": 0}, "rows.*must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path, options, message):
    corpus = write_corpus(tmp_path / "raw", [{"text": "a"}])
    with pytest.raises(InputError, match=message):
        deduplicate(corpus, tmp_path / "out", **options)
