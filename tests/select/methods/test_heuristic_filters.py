import numpy as np
import pyarrow as pa
import pytest

from leadsman.corpus import write_corpus
from leadsman.errors import MethodError
from leadsman.select import Policy, select
from leadsman.select.explain import explain_choice
from leadsman.select.methods.heuristic_filters import (
    HeuristicFilters,
    repeated_share,
    top_ngram_share,
)

generator = np.random.default_rng(0)
VOCABULARY = ["".join(generator.choice(list("abcdefghij"), 5)) for _ in range(4000)]
PROSE = "\n".join(" ".join(generator.choice(VOCABULARY, 12, replace=False)) for _ in range(10))

BROKEN = {
    "no words": " \n",
    "too few words": "only these few words",
    "words too short": " ".join(w[:2] for w in PROSE.split()),
    "words too long": " ".join(a + b + a for a, b in zip(PROSE.split(), PROSE.split()[1:])),
    "too many symbols": PROSE.replace(" ", " # ", 20),
    "a list": "\n".join(f"- {line}" for line in PROSE.split("\n")),
    "unfinished lines": "\n".join(f"{line}…" for line in PROSE.split("\n")),
    "words without letters": PROSE + " 12345" * 60,
    "repeated lines": PROSE + "\n" + PROSE,
    "a repeated pair of words": PROSE + " again and" * 40,
    "a repeated triple of words": PROSE + " one after another" * 40,
    "repeated runs of words": PROSE + " " + PROSE.replace("\n", " "),
}


def reasons_of(text, **options):
    selector = HeuristicFilters(**options)
    return selector._rules(text)


def test_ordinary_text_keeps_all_rules():
    assert reasons_of(PROSE) == []


@pytest.mark.parametrize("reason", BROKEN)
def test_each_rule_catches_its_planted_fault(reason):
    assert reason in reasons_of(BROKEN[reason])


def test_hashes_and_ellipses_are_each_held_to_the_limit():
    # Of 120 words: 8 hashes and 8 ellipses are 0.13 together, and 0.07 each.
    text = PROSE.replace(" ", " #", 8).replace("\n", "… ", 8)
    assert "too many symbols" not in reasons_of(text)
    assert "too many symbols" in reasons_of(text.replace(" #", " ##"))


def test_shares_by_hand():
    words = ["a", "b", "c", "d", "e", "a", "b", "c", "d", "e", "f"]
    assert top_ngram_share(words, 2) == pytest.approx(4 / 11)
    assert top_ngram_share(words, 9) == 0.0
    assert repeated_share(words, 5) == pytest.approx(5 / 11)
    # Overlapping repeats: every character once.
    assert repeated_share(["x"] * 10, 5) == pytest.approx(9 / 10)


def test_what_goes_is_counted_and_explained_by_reason(tmp_path):
    rows = [{"id": "good", "text": PROSE, "source": "s"}]
    rows += [{"id": name, "text": text, "source": "s"} for name, text in BROKEN.items()]
    raw = write_corpus(tmp_path / "raw", rows)
    policy = Policy(rule="threshold", threshold=0.0)
    report = select(raw, raw, tmp_path / "out", selector="heuristic-filters", policy=policy)
    assert report.corpus.table(["id"])["id"].to_pylist() == ["good"]
    assert sum(extent.documents for extent in report.reasons.values()) == len(BROKEN)
    assert report.reasons["too few words"].documents == 1
    assert explain_choice(raw, report, "a list")["reason"] == "a list"
    assert explain_choice(raw, report, "good")["reason"] is None


def test_languages_are_told_apart():
    pytest.importorskip("py3langid")
    english = "The committee will meet again in the morning to discuss what the members proposed."
    german = "Der Ausschuss wird am Morgen erneut zusammentreten und über den Vorschlag beraten."
    batch = pa.RecordBatch.from_pylist([{"text": english}, {"text": german}])
    selector = HeuristicFilters(min_words=1, languages=["en"]).fit(None, None)
    scores, reasons = selector.judge(batch)
    assert reasons == [None, "another language"]
    assert scores.tolist() == [0.0, -1.0]


@pytest.mark.parametrize("name", ["min_words", "max_bullet_lines", "max_repeated_5grams"])
def test_limits_that_cannot_be_are_named(name):
    with pytest.raises(MethodError, match=f"{name} must be zero or more"):
        HeuristicFilters(**{name: -1})
