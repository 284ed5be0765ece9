import sys
from pathlib import Path

import numpy as np
import pytest

from leadsman.corpus import write_corpus
from leadsman.corpus.ngrams.counts import hashed_counts, kl_divergence, kl_reduction
from leadsman.errors import InputError, MethodError
from leadsman.select.methods.dsir import DSIR

sys.path.insert(0, str(Path(__file__).parents[2] / "corpus/kernels"))
import reference

RAW = ["the cat sat on the mat", "stocks fell again today", "", "the dog sat", "a a a a a a"]
TARGET = ["the cat and the dog", "the mat"]


@pytest.fixture
def corpora(tmp_path):
    return [
        write_corpus(tmp_path / name, [{"text": text} for text in texts])
        for name, texts in (("raw", RAW), ("target", TARGET))
    ]


def by_hand(texts, others, target, *, n, buckets, smoothing):
    """The paper's log weights with dictionaries."""

    def frequencies(documents):
        counts = sum(
            (reference.ngram_buckets(d.encode(), n, buckets) for d in documents),
            reference.Counter(),
        )
        raw = [counts[b] / counts.total() + smoothing for b in range(buckets)]
        return [value / sum(raw) for value in raw]

    p, q = frequencies(target), frequencies(others)
    return [
        sum(
            count * (np.log(p[bucket]) - np.log(q[bucket]))
            for bucket, count in reference.ngram_buckets(text.encode(), n, buckets).items()
        )
        for text in texts
    ]


@pytest.mark.parametrize(
    ("n", "buckets", "smoothing"), [(2, 10_000, 1e-8), (1, 7, 1e-3), (3, 97, 0.1)]
)
def test_scores_are_the_log_importance_weights_of_the_paper(corpora, n, buckets, smoothing):
    raw, target = corpora
    selector = DSIR(n, buckets, smoothing=smoothing).fit(raw, target)
    expected = by_hand(RAW, RAW, TARGET, n=n, buckets=buckets, smoothing=smoothing)
    scores = selector.score(next(raw.batches()))
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


def test_length_normalised_scores_are_means(corpora):
    raw, target = corpora
    plain = DSIR().fit(raw, target).score(next(raw.batches()))
    mean = DSIR(length_normalised=True).fit(raw, target).score(next(raw.batches()))
    ngrams = [2 * len(text.split()) - 1 if text else 1 for text in RAW]
    np.testing.assert_allclose(mean, plain / ngrams, rtol=1e-5)


def test_counts_do_not_depend_on_shards(tmp_path):
    rows = [{"text": f"{text} {i}"} for i, text in enumerate(RAW * 20)]
    one = write_corpus(tmp_path / "one", rows)
    many = write_corpus(tmp_path / "many", rows, shard_bytes=100)
    np.testing.assert_array_equal(hashed_counts(one), hashed_counts(many))


def test_kl_of_smoothed_counts_has_its_closed_form():
    # With equal totals and no empty bucket, smoothing of 1e-8 changes nothing that shows.
    p, q = np.array([30, 70]), np.array([50, 50])
    closed = 0.3 * np.log(0.3 / 0.5) + 0.7 * np.log(0.7 / 0.5)
    assert kl_divergence(p, q) == pytest.approx(closed, abs=1e-6)
    assert kl_divergence(p, p) == 0.0
    assert kl_reduction(p, q, p) == pytest.approx(closed, abs=1e-6)


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"n": 99}, {"buckets": 0}, {"smoothing": 0.0}, {"smoothing": 2.0}]
)
def test_hyperparameters_that_cannot_be_are_named(options):
    with pytest.raises(MethodError, match=f"dsir: {next(iter(options))} must"):
        DSIR(**options)


def test_a_target_without_words_is_named(corpora, tmp_path):
    with pytest.raises(InputError, match="empty: holds no words"):
        DSIR().fit(corpora[0], write_corpus(tmp_path / "empty", [{"text": " "}]))
