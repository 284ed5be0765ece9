"""What every selector must do, as tests to inherit: built-in and third-party selectors pass them.

class TestMine(SelectorConformance):
    def make(self):
        return Mine()
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from leadsman.corpus import Corpus, write_corpus
from leadsman.errors import LeadsmanError
from leadsman.select.base import Selector
from leadsman.testing.hyperparameters import check_hyperparameters

SEA = "the ship sailed over the deep blue sea and the crew hauled the heavy wet ropes at dawn"
WINE = "a glass of old red wine with ripe cheese, bread and grapes on a wooden table at night"
ODD = ["", " \n", "\x00", "!!!", "東京に行く", "naïve café ☕", "a" * 20_000]


def draw_documents(words: str, count: int, seed: int) -> list[str]:
    """Documents of 40 words drawn from a vocabulary."""
    generator = np.random.default_rng(seed)
    pool = words.split()
    return [" ".join(generator.choice(pool, 40)) for _ in range(count)]


class SelectorConformance(ABC):
    """Tests of one selector; a subclass says how to make it.

    Attributes:
        prefers_target: whether documents like the target must score higher than others. Set it
            to ``False`` for a selector that looks for variety instead.
    """

    prefers_target = True

    @abstractmethod
    def make(self) -> Selector:
        """A selector that is not yet fitted."""

    @pytest.fixture
    def raw(self, tmp_path: Path) -> Corpus:
        """Documents about the sea and about wine, and some odd ones, in several shards."""
        rows = [{"text": text, "source": "sea"} for text in draw_documents(SEA, 60, 0)]
        rows += [{"text": text, "source": "wine"} for text in draw_documents(WINE, 60, 1)]
        rows += [{"text": text, "source": "odd"} for text in ODD]
        return write_corpus(tmp_path / "raw", rows, shard_bytes=4000)

    @pytest.fixture
    def target(self, tmp_path: Path) -> Corpus:
        """Other documents about the sea."""
        return write_corpus(tmp_path / "target", [{"text": t} for t in draw_documents(SEA, 40, 2)])

    def scores(self, selector: Selector, raw: Corpus) -> npt.NDArray[np.float32]:
        """Scores of all documents."""
        return np.concatenate([selector.score(batch) for batch in raw.batches(["text"])])

    def test_it_is_registered_as_a_selector(self) -> None:
        """It has a name, a kind and a first line that says what it does."""
        selector = self.make()
        assert selector.kind == "selector"
        assert selector.name == selector.name.lower()
        assert selector.summary().endswith(".")

    def test_hyperparameters_are_stored_untouched(self) -> None:
        """Each constructor argument is an attribute of the same name and the same value."""
        check_hyperparameters(self.make())

    def test_scores_are_one_finite_float_a_document(self, raw: Corpus, target: Corpus) -> None:
        """Odd documents included; minus infinity says "never"."""
        selector = self.make()
        assert selector.fit(raw, target, seed=0) is selector
        for batch in raw.batches(["text"]):
            scores = selector.score(batch)
            assert scores.dtype == np.float32
            assert scores.shape == (batch.num_rows,)
            assert (scores < np.inf).all()

    def test_a_judgement_is_the_score_with_reasons(self, raw: Corpus, target: Corpus) -> None:
        """One reason or none a document, where reasons are given."""
        selector = self.make().fit(raw, target, seed=0)
        for batch in raw.batches(["text"]):
            scores, reasons = selector.judge(batch)
            np.testing.assert_array_equal(scores, selector.score(batch))
            assert reasons is None or len(reasons) == batch.num_rows

    def test_the_same_seed_gives_the_same_scores(self, raw: Corpus, target: Corpus) -> None:
        """Bit for bit."""
        one = self.scores(self.make().fit(raw, target, seed=3), raw)
        two = self.scores(self.make().fit(raw, target, seed=3), raw)
        np.testing.assert_array_equal(one, two)

    def test_a_score_does_not_depend_on_the_batch(self, raw: Corpus, target: Corpus) -> None:
        """One document alone scores as it does among others, and so after pickling."""
        selector = self.make().fit(raw, target, seed=0)
        again = pickle.loads(pickle.dumps(selector))
        batch = pa.Table.from_batches(raw.batches(["text"])).combine_chunks().to_batches()[0]
        whole = selector.score(batch)
        for row in (0, 70, batch.num_rows - 2):
            np.testing.assert_array_equal(again.score(batch.slice(row, 1)), whole[row : row + 1])
        assert selector.score(batch.slice(0, 0)).shape == (0,)

    def test_documents_like_the_target_score_higher(self, raw: Corpus, target: Corpus) -> None:
        """Planted: sea documents against wine documents."""
        if not self.prefers_target:
            pytest.skip("this selector does not look for likeness")
        scores = self.scores(self.make().fit(raw, target, seed=0), raw)
        sea, wine = scores[:60], scores[60:120]
        assert (sea[:, None] > wine[None, :]).mean() > 0.95

    def test_score_before_fit_is_an_error_of_ours(self, raw: Corpus) -> None:
        """And not an AttributeError from the depths."""
        with pytest.raises(LeadsmanError, match="fit"):
            self.make().score(next(raw.batches(["text"])))

    def test_an_empty_target_is_an_error_of_ours(self, raw: Corpus, tmp_path: Path) -> None:
        """A target without a word says nothing about what is wanted."""
        empty = write_corpus(tmp_path / "empty", [{"text": " "}])
        if not self.prefers_target:
            pytest.skip("this selector does not look at the target")
        with pytest.raises(LeadsmanError):
            self.make().fit(raw, empty, seed=0)
