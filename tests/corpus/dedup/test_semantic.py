import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from leadsman.corpus import write_corpus
from leadsman.corpus.dedup import semantic
from leadsman.corpus.dedup.explain import explain_removal
from leadsman.corpus.dedup.semantic import deduplicate_semantic
from leadsman.corpus.vectors.embedding import HashedSVD, embedding_named
from leadsman.corpus.vectors.neighbours import spherical_clusters
from leadsman.errors import InputError, MissingExtraError

FINE = HashedSVD(buckets=1 << 24)  # so wide that no two words share a bucket
TOPICS = [[f"{topic}{i}" for i in range(30)] for topic in ("sea", "wine", "code", "law", "bird")]


def essay(topic, generator, words=60):
    return " ".join(generator.choice(TOPICS[topic], words))


@pytest.fixture(scope="module")
def rows():
    """Essays on five topics, then shuffled sentences of some of them: same words, other order."""
    generator = np.random.default_rng(0)
    rows = [{"id": f"o{i}", "text": essay(i % 5, generator), "source": "first"} for i in range(150)]
    for i in range(40):
        words = rows[i]["text"].split()
        text = " ".join(generator.permutation(words))
        rows.append({"id": f"s{i}", "text": text, "source": "second"})
    rows += [
        {"id": f"u{i}", "text": essay(i % 5, generator), "source": "second"} for i in range(20)
    ]
    return [*rows, {"id": "e1", "text": "", "source": "second"}, {"id": "e2", "text": " "}]


@pytest.fixture
def corpus(tmp_path, rows):
    return write_corpus(tmp_path / "raw", rows, source="second", shard_bytes=9000)


def test_planted_rewordings_are_found_with_their_neighbour(tmp_path, corpus):
    report = deduplicate_semantic(corpus, tmp_path / "out", threshold=0.999)
    rejects = pl.read_parquet(tmp_path / "out/rejects/*.parquet")
    assert set(rejects["id"]) == {f"s{i}" for i in range(40)}
    for row in rejects.to_dicts():
        assert row["kept_id"] == "o" + row["id"][1:]
        assert row["cosine"] >= 0.999
    assert report.lowest_cosine >= 0.999
    assert explain_removal(report.corpus, "s3")["reason"] == "says the same"
    assert {"e1", "e2"} <= set(report.corpus.table(["id"])["id"].to_pylist())


def test_cosines_are_those_of_the_vectors_and_nothing_near_is_left(tmp_path, corpus, rows):
    # Brute force over all pairs; one cluster, so that all are compared.
    report = deduplicate_semantic(
        corpus, tmp_path / "out", threshold=0.8, clusters=1, embedding=FINE, max_source_loss=1.0
    )
    # Independent: scikit-learn's own TF-IDF of the same words.
    vectors = TfidfVectorizer(sublinear_tf=True).fit_transform(row["text"] for row in rows)
    cosines = (vectors @ vectors.T).toarray()
    kept = []
    expected = {}
    for i in range(len(rows)):
        near = [j for j in kept if cosines[i, j] >= 0.8]
        if near:
            expected[rows[i]["id"]] = max(near, key=lambda j: cosines[i, j])
        else:
            kept.append(i)
    rejects = pl.read_parquet(tmp_path / "out/rejects/*.parquet")
    assert set(rejects["id"]) == set(expected)
    number = {row["id"]: i for i, row in enumerate(rows)}
    for row in rejects.to_dicts():
        i, j = number[row["id"]], number[row["kept_id"]]
        assert row["cosine"] == pytest.approx(cosines[i, j], abs=1e-5)
        assert cosines[i, j] == pytest.approx(cosines[i, expected[row["id"]]], abs=1e-6)
    assert report.documents_removed == len(expected) > 40


def test_the_most_ordinary_go_and_the_odd_ones_stay(tmp_path):
    generator = np.random.default_rng(1)
    rows = [{"id": f"c{i}", "text": essay(0, generator, 200)} for i in range(60)]
    # Half its own topic, half of others: farther from the centre than the rest.
    for i in range(12):
        text = essay(0, generator, 100) + " " + essay(1 + i % 4, generator, 60)
        rows.append({"id": f"odd{i}", "text": text})
    corpus = write_corpus(tmp_path / "raw", rows, source="s")
    report = deduplicate_semantic(
        corpus, tmp_path / "out", threshold=1.0, prototypes=0.5, clusters=1
    )
    gone = pl.read_parquet(tmp_path / "out/rejects/*.parquet")
    assert report.removed["most ordinary"].documents == 36
    assert not [name for name in gone["id"] if name.startswith("odd")]
    assert gone["kept_id"].null_count() == 36


def test_a_killed_job_continues_to_the_same_result(tmp_path, corpus, monkeypatch):
    whole = deduplicate_semantic(corpus, tmp_path / "whole", threshold=0.9, prototypes=0.1)
    true, calls = semantic._embed_shard, []

    def dying(part, **options):
        calls.append(part)
        if len(calls) == 2:
            raise KeyboardInterrupt
        true(part, **options)

    monkeypatch.setattr(semantic, "_embed_shard", dying)
    with pytest.raises(KeyboardInterrupt):
        deduplicate_semantic(corpus, tmp_path / "out", threshold=0.9, prototypes=0.1)
    monkeypatch.setattr(semantic, "_embed_shard", true)
    again = deduplicate_semantic(corpus, tmp_path / "out", threshold=0.9, prototypes=0.1)
    assert [s.sha256 for s in again.corpus.shards] == [s.sha256 for s in whole.corpus.shards]


def test_a_vector_does_not_depend_on_the_batch(corpus):
    embedding = HashedSVD(16).fit(corpus, seed=1)
    whole = np.concatenate([embedding.embed(batch) for batch in corpus.batches(["text"])])
    single = [
        embedding.embed(batch.slice(i, 1))[0]
        for batch in corpus.batches(["text"])
        for i in range(batch.num_rows)
    ]
    np.testing.assert_array_equal(whole, np.stack(single))
    lengths = np.linalg.norm(whole, axis=1)
    np.testing.assert_allclose(lengths[:-2], 1, atol=1e-5)
    np.testing.assert_array_equal(lengths[-2:], 0)


def test_details_are_tfidf_and_all_directions_lose_little(tmp_path):
    generator = np.random.default_rng(2)
    texts = [essay(int(generator.integers(5)), generator, 20) for _ in range(30)]
    corpus = write_corpus(tmp_path / "raw", [{"text": text} for text in texts])
    embedding = HashedSVD(200, buckets=1 << 24).fit(corpus)
    batch = next(corpus.batches())
    details, vectors = embedding.details(batch), embedding.embed(batch)
    reference = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    cosines = (reference @ reference.T).toarray()
    np.testing.assert_allclose((details @ details.T).toarray(), cosines, atol=1e-5)
    # 29 of 30 directions: the smallest is missing.
    assert vectors.shape[1] == 29
    assert np.corrcoef((vectors @ vectors.T).ravel(), cosines.ravel())[0, 1] > 0.99


def test_pages_of_one_template_are_not_the_same(tmp_path):
    # Projected onto a few directions many pairs are: what tells the pages apart is lost.
    generator = np.random.default_rng(4)
    names = [f"{a}{b}tool" for a in "bcdfgklm" for b in ("ama", "elo", "ira", "opu", "uni")]
    rows = [
        {
            "id": name,
            "text": f"{name} makes a {name[:4]} filesystem on a partition. Usage: {name} path. "
            f"More information on {name} stands in the manual. " + essay(0, generator, 5),
        }
        for name in names
    ]
    rows += [{"id": f"x{i}", "text": essay(1 + i % 4, generator, 8)} for i in range(60)]
    corpus = write_corpus(tmp_path / "raw", rows, source="s")
    pages = pa.RecordBatch.from_pylist(rows[: len(names)])
    vectors = HashedSVD(8).fit(corpus).embed(pages)
    assert (vectors @ vectors.T > 0.9)[np.triu_indices(len(names), 1)].mean() > 0.1
    report = deduplicate_semantic(corpus, tmp_path / "out", embedding=HashedSVD(8))
    assert report.documents_removed == 0


def test_clusters_find_planted_directions():
    generator = np.random.default_rng(3)
    true = np.eye(5, 20)
    rows = np.repeat(true, 40, axis=0) + generator.normal(0, 0.05, (200, 20))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    found = min(
        (spherical_clusters(rows, 5, seed=seed) for seed in range(5)),
        key=lambda centres: -np.max(rows @ centres.T, axis=1).sum(),
    )
    assert np.max(found @ true.T, axis=0).min() > 0.99


def test_what_cannot_be_is_named(tmp_path, corpus):
    for options, name in (
        ({"threshold": 0.0}, "threshold"),
        ({"prototypes": 1.0}, "prototypes"),
        ({"clusters": 0}, "clusters"),
    ):
        with pytest.raises(InputError, match=name):
            deduplicate_semantic(corpus, tmp_path / "out", **options)
    copy = write_corpus(tmp_path / "copy", [{"text": t} for t in ("sea1 sea2", "x y")], source="c")
    first = write_corpus(tmp_path / "one", [{"text": t} for t in ("sea2 sea1", "y x", "z")])
    with pytest.raises(InputError, match="source 'c' becomes empty"):
        deduplicate_semantic(
            [first, copy], tmp_path / "empty", clusters=1, threshold=0.9, stop_source_loss=1.0
        )
    with pytest.raises(MissingExtraError, match="embed"):
        embedding_named("some/model")
