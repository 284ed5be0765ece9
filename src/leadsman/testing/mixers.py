"""What every mixer must do, as tests to inherit: built-in and third-party mixers pass them.

class TestMine(MixerConformance):
    def make(self):
        return Mine()
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest

from leadsman.corpus import write_corpus
from leadsman.mix import Mixer, MixingProblem
from leadsman.testing.hyperparameters import check_hyperparameters

_SOURCES = {"alpha": 0, "beta": 1, "gamma": 2}


def draw_documents(language: int, count: int, seed: int) -> list[str]:
    """Documents of a chain of words: every word has a few followers."""
    rules = np.random.default_rng(language)
    words = [f"l{language}w{i}" for i in range(150)]
    followers = rules.integers(0, 150, (150, 5))
    generator = np.random.default_rng([language, seed])
    texts = []
    for _ in range(count):
        at, path = int(generator.integers(150)), []
        for _ in range(50):
            at = int(followers[at, generator.integers(5)])
            path.append(words[at])
        texts.append(" ".join(path))
    return texts


class MixerConformance(ABC):
    """Tests of one mixer; a subclass says how to make it.

    Attributes:
        looks_at_target: whether the source like the target must get more than its natural share.
    """

    looks_at_target = True

    @abstractmethod
    def make(self) -> Mixer:
        """A mixer."""

    def problem(self, place: Path, **options: float) -> MixingProblem:
        """Three sources of one size; the target is three parts alpha and one part beta."""
        rows = [
            {"text": text, "source": name}
            for name, language in _SOURCES.items()
            for text in draw_documents(language, 120, 0)
        ]
        wanted = [*draw_documents(0, 30, 1), *draw_documents(1, 10, 1)]
        sources = write_corpus(place / "sources", rows)
        target = write_corpus(place / "target", [{"text": text} for text in wanted])
        return MixingProblem(sources, target, **options)  # type: ignore[arg-type]

    def test_it_is_registered_as_a_mixer(self) -> None:
        """It has a name, a kind and a first line that says what it does."""
        mixer = self.make()
        assert mixer.kind == "mixer"
        assert mixer.name == mixer.name.lower()
        assert mixer.summary().endswith(".")

    def test_hyperparameters_are_stored_untouched(self) -> None:
        """Each constructor argument is an attribute of the same name and the same value."""
        check_hyperparameters(self.make())

    def test_shares_are_of_all_sources_and_within_what_there_is(self, tmp_path: Path) -> None:
        """Each source is named, and a small one is not drawn beyond its limit."""
        problem = self.problem(tmp_path, training_bytes=200_000, max_epochs=2)
        weights = self.make().fit(problem, seed=0).weights
        assert set(weights) == set(_SOURCES)
        for name, most in zip(problem.names, problem.most):
            assert weights[name] <= most + 1e-9

    def test_the_source_like_the_target_gets_most(self, tmp_path: Path) -> None:
        """Planted: alpha above its third, gamma below it; and the same seed finds the same."""
        if not self.looks_at_target:
            pytest.skip("this mixer does not look at the target")
        problem = self.problem(tmp_path)
        weights = self.make().fit(problem, seed=0).weights
        assert weights["alpha"] > 0.45
        assert weights["gamma"] < 0.25
        assert dict(self.make().fit(problem, seed=0).weights) == dict(weights)
