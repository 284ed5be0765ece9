import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadsman.corpus import decontaminate, write_corpus
from leadsman.corpus.kernels.ngram_index import NgramIndex
from leadsman.corpus.kernels.overlap import search
from leadsman.corpus.kernels.text import TextColumn, token_counts
from leadsman.errors import InputError

WORDS = [f"word{i}" for i in range(5000)]
GENERATOR = random.Random(0)


def essay(words=200):
    return " ".join(GENERATOR.choices(WORDS, k=words))


def column(texts):
    import pyarrow as pa

    return TextColumn.of(pa.array(texts, pa.string()))


def brute_force(target, text, n):
    """Longest run, share of the document's n-grams, largest share of an item's own n-grams."""
    owner = {}
    for item, words in enumerate(t.split() for t in target):
        for i in range(len(words) - n + 1):
            owner.setdefault(tuple(words[i : i + n]), item)
    words = text.split()
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    hits = [gram in owner for gram in grams]
    longest, run = 0, 0
    for hit in hits:
        run = run + 1 if hit else 0
        longest = max(longest, run + n - 1 if run else 0)
    own = {item: [g for g, o in owner.items() if o == item] for item in set(owner.values())}
    found = set(grams)
    shares = [len(found & set(own[item])) / len(own[item]) for item in own]
    return longest, sum(hits) / len(hits) if hits else 0.0, max(shares, default=0.0)


short = st.lists(st.sampled_from("abc"), max_size=12).map(" ".join)


@given(st.lists(short, min_size=1, max_size=4), st.lists(short, max_size=4), st.integers(1, 4))
@settings(max_examples=200)
def test_overlap_is_that_of_comparing_everything(target, texts, n):
    index = NgramIndex(n, len(target), int(token_counts(column(target)).sum()))
    index.add(column(target))
    overlap = search(column(texts), index)
    for row, text in enumerate(texts):
        longest, of_document, of_item = brute_force(target, text, n)
        assert overlap.longest[row] == longest
        assert overlap.share_of_document[row] == pytest.approx(of_document, abs=1e-6)
        assert overlap.share_of_item[row] == pytest.approx(of_item, abs=1e-6)
        span = text.encode()[overlap.begin[row] : overlap.end[row]].decode()
        assert len(span.split()) == longest
        assert not longest or any(span in item for item in target) or longest > n
    assert index.short == sum(len(item.split()) < n for item in target)


@pytest.fixture
def corpora(tmp_path):
    items = [essay(60) for _ in range(20)] + ["too short"]
    target = write_corpus(
        tmp_path / "target", [{"id": f"t{i}", "text": t} for i, t in enumerate(items)]
    )
    words = items[3].split()
    edited = " ".join("changed" if i % 25 == 24 else w for i, w in enumerate(words))
    texts = {
        "copy": items[0].upper(),
        "short copy": "Too  short",
        "near": edited,
        "holds": f"{essay(300)} {items[5]} {essay(300)}",
        "span": f"{essay(100)} {' '.join(items[6].split()[:29])} {essay(100)}",
        "allowed": f"{essay(100)} {' '.join(items[7].split()[:20])} {essay(100)}",
        "mentions": "this is too short to say",
        "clean": essay(),
    }
    raw = write_corpus(
        tmp_path / "raw", [{"id": k, "text": t, "source": "web"} for k, t in texts.items()]
    )
    return raw, target, items


def test_each_kind_of_overlap_is_found_and_explained(tmp_path, corpora):
    raw, target, items = corpora
    report = decontaminate(raw, target, tmp_path / "out", span=25)
    rejects = {row["id"]: row for row in pl.read_parquet(tmp_path / "out/rejects/*").to_dicts()}
    assert {name: row["reason"] for name, row in rejects.items()} == {
        "copy": "exact copy",
        "short copy": "exact copy",
        "near": "near copy",
        "holds": "holds an item",
        "span": "shared span",
    }
    assert {name: row["target_id"] for name, row in rejects.items()} == {
        "copy": "t0",
        "short copy": "t20",
        "near": "t3",
        "holds": "t5",
        "span": "t6",
    }
    assert rejects["span"]["span_tokens"] == 29
    assert " ".join(items[6].split()[:29]).startswith(rejects["span"]["span"])
    assert rejects["holds"]["share_of_item"] == 1.0
    kept = report.corpus.table(["id"])["id"].to_pylist()
    assert kept == ["allowed", "mentions", "clean"]
    assert (report.items, report.short_items) == (21, 1)
    assert report.warnings
    assert decontaminate(raw, target, tmp_path / "out", span=25) == report


def test_several_targets_are_taken_as_one(tmp_path, corpora):
    raw, target, items = corpora
    parts = [
        write_corpus(tmp_path / f"part{i}", [{"id": f"t{j}", "text": items[j]} for j in numbers])
        for i, numbers in enumerate([range(10), range(10, 21)])
    ]
    one = decontaminate(raw, target, tmp_path / "one")
    two = decontaminate(raw, parts, tmp_path / "two")
    assert two.removed == one.removed
    assert two.examples == one.examples


def test_a_target_that_is_the_source_is_refused(tmp_path, corpora):
    _, target, _ = corpora
    with pytest.raises(InputError, match="no document is left"):
        decontaminate(target, target, tmp_path / "out")
    with pytest.raises(InputError, match="source 'documents' becomes empty"):
        decontaminate(target, target, tmp_path / "out", stop_source_loss=1.0)


@pytest.mark.parametrize("options", [{"n": 0}, {"span": 3}, {"overlap": 0.0}, {"overlap": 2.0}])
def test_settings_that_cannot_be_are_named(tmp_path, corpora, options):
    with pytest.raises(InputError, match=f"field '{next(iter(options))}': must be"):
        decontaminate(corpora[0], corpora[1], tmp_path / "out", **options)
