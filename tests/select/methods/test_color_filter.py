import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from leadsman.corpus import write_corpus
from leadsman.errors import InputError, MethodError
from leadsman.select.methods.color_filter import CoLoRFilter, _half
from leadsman.select.methods.ngram_perplexity import NgramPerplexity

sys.path.insert(0, str(Path(__file__).parents[2] / "corpus/ngrams"))
from test_ngram_model import ByHand


def write(path, texts):
    return write_corpus(path, [{"text": text} for text in texts])


class Shared(ByHand):
    """Witten-Bell by hand, with a vocabulary of its own choosing below one token."""

    def __init__(self, n, documents, vocabulary):
        super().__init__(n, documents)
        self.vocabulary = vocabulary

    def probability(self, context, word):
        if context is None:
            return 1 / self.vocabulary
        return super().probability(context, word)


def test_scores_are_the_difference_of_two_models_by_hand(tmp_path):
    generator = np.random.default_rng(0)
    raw = [" ".join(generator.choice(list("abcd"), 12)) for _ in range(20)]
    target = ["a d a d e"]
    asked = ["a d a", "c c", "x a d", *raw[:4]]
    selector = CoLoRFilter(2).fit(write(tmp_path / "raw", raw), write(tmp_path / "t", target))
    scores = selector.score(next(write(tmp_path / "asked", asked).batches()))
    halves = {text: int(_half(pa.array([text]))[0]) for text in [*raw, *asked]}
    assert set(halves.values()) == {0, 1}
    for text, score in zip(asked, scores):
        others = [document for document in raw if halves[document] != halves[text]]
        assert text not in others
        prior = Shared(2, others, vocabulary=6)
        conditional = Shared(2, [*others, *target], vocabulary=6)
        expected = (prior.loss(text) - conditional.loss(text)) / len(text.split())
        assert score == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_what_is_easy_for_everyone_gains_nothing(tmp_path):
    # Boilerplate stands in raw and target alike: perplexity wants it, conditional loss does not.
    generator = np.random.default_rng(0)
    boiler = "all rights reserved by the authors of this text and its translations"
    topic, other = ([f"{name}{i}" for i in range(60)] for name in ("topic", "other"))

    def essays(words, count):
        return [" ".join(generator.choice(words, 40)) for _ in range(count)]

    numbered = [f"{boiler} page {i}" for i in range(60)]
    raw = write(tmp_path / "raw", [*essays(other, 60), *numbered])
    target = write(tmp_path / "target", [*essays(topic, 20), *numbered[:5]])
    asked = next(write(tmp_path / "asked", [boiler, essays(topic, 1)[0]]).batches())
    boilerplate, wanted = CoLoRFilter().fit(raw, target).score(asked)
    assert wanted > boilerplate + 0.5
    boilerplate, wanted = NgramPerplexity().fit(raw, target).score(asked)
    assert boilerplate > wanted


def test_samples_are_within_the_limit(tmp_path):
    raw = write(tmp_path / "raw", [f"a b c d {i}" for i in range(50)])
    selector = CoLoRFilter(max_tokens=43).fit(raw, raw)
    assert sum(model.tokens for model in selector.prior_) == 40
    assert sum(model.tokens for model in selector.conditional_) == 120
    with pytest.raises(InputError, match="more than max_tokens"):
        CoLoRFilter(max_tokens=3).fit(raw, raw)
    for options in ({"n": 0}, {"max_tokens": 0}):
        with pytest.raises(MethodError, match=f"color-filter: {next(iter(options))}"):
            CoLoRFilter(**options)
    single = write(tmp_path / "single", ["a b c"] * 3)
    with pytest.raises(InputError, match="too few different documents"):
        CoLoRFilter().fit(single, raw)
