import math
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.ngrams.model import NgramModel
from leadsman.errors import MethodError

texts = st.lists(
    st.lists(st.sampled_from("abcd"), max_size=10).map(" ".join), min_size=1, max_size=5
)


def column(documents):
    return TextColumn.of(pa.array(documents, pa.string()))


class ByHand:
    """Witten-Bell with dictionaries, written from the formula."""

    def __init__(self, n, documents):
        self.n = n
        self.following = defaultdict(Counter)
        for words in map(str.split, documents):
            for i, word in enumerate(words):
                for order in range(1, min(n, i + 1) + 1):
                    self.following[tuple(words[i - order + 1 : i])][word] += 1

    def probability(self, context, word):
        if context is None:
            return 1 / (len(self.following[()]) + 1)
        shorter = context[1:] if context else None
        seen = self.following.get(context)
        if not seen:
            return self.probability(shorter, word)
        types = len(seen)
        below = self.probability(shorter, word)
        return (seen[word] + types * below) / (seen.total() + types)

    def loss(self, document):
        words = document.split()
        return -sum(
            math.log(self.probability(tuple(words[max(0, i - self.n + 1) : i]), word))
            for i, word in enumerate(words)
        )


@given(texts, texts, st.integers(1, 4))
@settings(max_examples=100)
def test_losses_are_those_of_the_formula(learned, asked, n):
    if not any(text for text in learned):
        learned = ["a"]
    model = NgramModel(n)
    model.learn(column(learned))
    nats, tokens = model.losses(column(asked))
    reference = ByHand(n, learned)
    np.testing.assert_allclose(nats, [reference.loss(text) for text in asked], atol=1e-9)
    assert tokens.tolist() == [len(text.split()) for text in asked]


def test_probabilities_after_a_context_sum_to_one():
    model = NgramModel(3)
    model.learn(column(["a b c a b d b", "c c a b"]))
    # The loss of the last token alone: that of "a b w" less that of "a b".
    words = ["a", "b", "c", "d", "unseen"]
    nats, _ = model.losses(column(["a b", *(f"a b {word}" for word in words)]))
    assert np.exp(nats[0] - nats[1:]).sum() == pytest.approx(1.0)


def test_documents_longer_than_a_block_are_one_stream():
    words = [f"w{i % 7}" for i in range(5000)]
    model = NgramModel(3)
    model.learn(column([" ".join(words)]))
    reference = ByHand(3, [" ".join(words)])
    nats, tokens = model.losses(column([" ".join(words)]))
    assert tokens[0] == 5000
    assert nats[0] == pytest.approx(reference.loss(" ".join(words)))


def test_a_model_says_what_it_cannot():
    with pytest.raises(MethodError, match="n must be at least 1"):
        NgramModel(0)
    with pytest.raises(MethodError, match="learned from no token"):
        NgramModel(1).losses(column(["a"]))
    small = NgramModel(1, vocabulary=2)
    small.learn(column(["a b c"]))
    with pytest.raises(MethodError, match="learned 3 types, vocabulary is 2"):
        small.losses(column(["a"]))


def test_with_a_shared_vocabulary_probabilities_sum_to_one_over_it():
    model = NgramModel(2, vocabulary=6)
    model.learn(column(["a b c a b d b"]))
    words = ["a", "b", "c", "d", "unseen", "other"]
    nats, _ = model.losses(column(["a", *(f"a {word}" for word in words)]))
    assert np.exp(nats[0] - nats[1:]).sum() == pytest.approx(1.0)


def test_a_growing_table_forgets_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    documents = [" ".join(f"w{i}" for i in generator.integers(0, 300, 50)) for _ in range(40)]
    monkeypatch.setattr("leadsman.corpus.ngrams.model._SLICE_TOKENS", 120)
    model = NgramModel(3)
    for document in documents:
        model.learn(column([document]))
    reference = ByHand(3, documents)
    nats, _ = model.losses(column(documents[:5]))
    np.testing.assert_allclose(nats, [reference.loss(text) for text in documents[:5]])
    assert model.types == len({word for text in documents for word in text.split()})
