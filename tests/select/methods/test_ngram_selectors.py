import numpy as np
import pytest

from leadsman.corpus import write_corpus
from leadsman.errors import InputError, MethodError
from leadsman.select.methods.ngram_classifier import NgramClassifier
from leadsman.select.methods.ngram_perplexity import NgramPerplexity
from leadsman.testing.selectors import SEA, WINE, draw_documents


@pytest.fixture
def corpora(tmp_path):
    return [
        write_corpus(tmp_path / name, [{"text": t} for t in draw_documents(words, 80, seed)])
        for name, words, seed in (("raw", WINE, 0), ("target", SEA, 1))
    ]


def test_classifier_scores_are_the_log_odds_of_logistic_regression(corpora):
    # Independent: the same features as word counts, the same penalty, no hashing.
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    raw, target = corpora
    fitted = NgramClassifier(1, 1 << 20, strength=1.0).fit(raw, target)
    texts = [t for c in (raw, target) for t in c.table(["text"])["text"].to_pylist()]
    counts = CountVectorizer(token_pattern=r"\w+|[^\w\s]+").fit_transform(texts).toarray()
    shares = counts / counts.sum(axis=1, keepdims=True)
    reference = LogisticRegression(C=1.0, max_iter=200).fit(shares, np.repeat([0, 1], 80))
    scores = np.concatenate([fitted.score(batch) for c in (raw, target) for batch in c.batches()])
    np.testing.assert_allclose(scores, reference.decision_function(shares), atol=2e-3)


def test_the_target_may_be_cut_but_not_to_nothing(corpora):
    raw, target = corpora
    cut = NgramPerplexity(max_tokens=64 * 60).fit(raw, target)
    assert 0 < cut.model_.tokens <= 64 * 60
    with pytest.raises(InputError, match="more than max_tokens"):
        NgramPerplexity(max_tokens=5).fit(raw, target)


@pytest.mark.parametrize(
    ("selector", "options"),
    [
        (NgramPerplexity, {"n": 0}),
        (NgramPerplexity, {"max_tokens": 0}),
        (NgramClassifier, {"n": 0}),
        (NgramClassifier, {"buckets": 0}),
        (NgramClassifier, {"max_documents": 0}),
        (NgramClassifier, {"strength": 0.0}),
    ],
)
def test_hyperparameters_that_cannot_be_are_named(selector, options):
    with pytest.raises(MethodError, match=f"{selector.name}: {next(iter(options))} must"):
        selector(**options)
