"""Rules that ordinary text keeps and boilerplate, lists, spam and noise break.

The rules and limits of Gopher: Rae et al., "Scaling Language Models: Methods, Analysis & Insights
from Training Gopher" (2021), appendix A, with the repetition rules cut to the four that catch
most and without the rule of two English stop words; plus, if wanted, the language. A document
scores 0 if it keeps all rules, else minus the number it breaks, and its reason names the first.
Keep with ``--rule threshold --threshold 0``.

The limits are for prose in languages with spaces. Source code breaks several of them by nature:
give it limits of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.select.base import Selector
from leadsman.select.methods.language import languages_of

_WORD = re.compile(r"\S+")
_LETTER = re.compile(r"[^\W\d_]")
_MARKS = ("•", "-", "*", "‣", "◦")


class HeuristicFilters(Selector):
    """Rules on length, symbols, repetition and language, each with its reason.

    Args:
        min_words, max_words: of a document.
        min_mean_word, max_mean_word: mean characters in a word.
        max_symbol_ratio: ``#`` over words, and ellipses over words.
        max_bullet_lines: share of lines that begin with a bullet.
        max_ellipsis_lines: share of lines that end with an ellipsis.
        min_letter_words: share of words that hold a letter.
        max_repeated_lines: share of lines that are a repeat of an earlier one.
        max_top_bigram, max_top_trigram: share of the characters that are in the most frequent
            pair (triple) of words.
        max_repeated_5grams: share of the characters that are in repeated runs of five words.
        languages: ISO 639-1 codes to keep; all by default. Needs the extra ``language``.

    Raises:
        MethodError: a limit that is negative or not a number.
    """

    name = "heuristic-filters"
    paper = Paper(
        "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021, None
    )

    def __init__(
        self,
        *,
        min_words: int = 50,
        max_words: int = 100_000,
        min_mean_word: float = 3.0,
        max_mean_word: float = 10.0,
        max_symbol_ratio: float = 0.1,
        max_bullet_lines: float = 0.9,
        max_ellipsis_lines: float = 0.3,
        min_letter_words: float = 0.8,
        max_repeated_lines: float = 0.3,
        max_top_bigram: float = 0.2,
        max_top_trigram: float = 0.18,
        max_repeated_5grams: float = 0.15,
        languages: Sequence[str] = (),
    ) -> None:
        for name, value in list(locals().items()):
            if name.startswith(("min_", "max_")) and not value >= 0:
                raise MethodError(f"heuristic-filters: {name} must be zero or more, not {value}")
        self.min_words = min_words
        self.max_words = max_words
        self.min_mean_word = min_mean_word
        self.max_mean_word = max_mean_word
        self.max_symbol_ratio = max_symbol_ratio
        self.max_bullet_lines = max_bullet_lines
        self.max_ellipsis_lines = max_ellipsis_lines
        self.min_letter_words = min_letter_words
        self.max_repeated_lines = max_repeated_lines
        self.max_top_bigram = max_top_bigram
        self.max_top_trigram = max_top_trigram
        self.max_repeated_5grams = max_repeated_5grams
        self.languages = languages
        self.fitted_ = False

    def fit(self, raw: Corpus, target: Corpus, *, seed: int = 0) -> Self:
        """There is nothing to learn; raw, target and seed have no effect."""
        self.fitted_ = True
        return self

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Minus the number of rules each document breaks, shape (n,)."""
        return self.judge(batch)[0]

    def judge(self, batch: pa.RecordBatch) -> tuple[npt.NDArray[np.float32], list[str | None]]:
        """Scores, and the first rule each document breaks.

        Raises:
            MissingExtraError: ``languages`` without the extra ``language``.
        """
        if not self.fitted_:
            raise MethodError("heuristic-filters: call fit before score")
        found = self._broken(batch)
        scores = np.array([-len(broken) for broken in found], np.float32)
        return scores, [broken[0] if broken else None for broken in found]

    def _broken(self, batch: pa.RecordBatch) -> list[list[str]]:
        documents = batch.column("text").to_pylist()
        found = [self._rules(text or "") for text in documents]
        if self.languages:
            for broken, language in zip(found, languages_of(documents), strict=True):
                if language not in self.languages:
                    broken.append("another language")
        return found

    def _rules(self, text: str) -> list[str]:
        words = _WORD.findall(text)
        count = len(words)
        if count == 0:
            return ["no words"]
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        mean = sum(map(len, words)) / count
        symbols = max(text.count("#"), text.count("...") + text.count("…"))
        checks: list[tuple[str, bool]] = [
            ("too few words", count < self.min_words),
            ("too many words", count > self.max_words),
            ("words too short", mean < self.min_mean_word),
            ("words too long", mean > self.max_mean_word),
            ("too many symbols", symbols / count > self.max_symbol_ratio),
            ("a list", _share(line.startswith(_MARKS) for line in lines) > self.max_bullet_lines),
            (
                "unfinished lines",
                _share(line.endswith(("...", "…")) for line in lines) > self.max_ellipsis_lines,
            ),
            (
                "words without letters",
                _share(_LETTER.search(word) is not None for word in words) < self.min_letter_words,
            ),
            ("repeated lines", 1 - len(set(lines)) / len(lines) > self.max_repeated_lines),
            ("a repeated pair of words", top_ngram_share(words, 2) > self.max_top_bigram),
            ("a repeated triple of words", top_ngram_share(words, 3) > self.max_top_trigram),
            ("repeated runs of words", repeated_share(words, 5) > self.max_repeated_5grams),
        ]
        return [reason for reason, broken in checks if broken]


def top_ngram_share(words: Sequence[str], n: int) -> float:
    """Share of the characters of all words that are in the most frequent n-gram.

    >>> top_ngram_share(["a", "b", "a", "b", "cc"], 2)
    0.6666666666666666
    """
    if len(words) < n:
        return 0.0
    counts = Counter(zip(*(words[i:] for i in range(n))))
    top, times = counts.most_common(1)[0]
    return times * sum(map(len, top)) / sum(map(len, words)) if times > 1 else 0.0


def repeated_share(words: Sequence[str], n: int) -> float:
    """Share of the characters that are in an n-gram that stood before; none is counted twice."""
    seen: set[tuple[Any, ...]] = set()
    repeated, last = 0, -1
    for i in range(len(words) - n + 1):
        ngram = tuple(words[i : i + n])
        if ngram in seen:
            repeated += sum(len(word) for word in words[max(i, last + 1) : i + n])
            last = i + n - 1
        seen.add(ngram)
    return repeated / max(sum(map(len, words)), 1)


def _share(values: Iterable[bool]) -> float:
    held = list(values)
    return sum(held) / len(held) if held else 0.0
