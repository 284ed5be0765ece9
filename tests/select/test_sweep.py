import json
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.corpus import Corpus, write_corpus
from leadsman.corpus.ngrams.proxy import NgramProxy, sample_mask
from leadsman.corpus.shards.split import split_target
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError
from leadsman.select.sweep import BASELINES, Arm, SweepDesign, sweep
from leadsman.select.sweep.report import difference

SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]


def language(seed):
    """A chain of words: each has its own few followers, so that n-grams have something to learn."""
    generator = np.random.default_rng(seed)
    words = ["".join(generator.choice(SYLLABLES, 3)) for _ in range(300)]
    followers = generator.integers(0, 300, (300, 6))
    return words, followers


def documents(language, count, seed):
    words, followers = language
    generator = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        at = int(generator.integers(300))
        path = []
        for _ in range(60):
            at = int(followers[at, min(generator.geometric(0.4) - 1, 5)])
            path.append(words[at])
        texts.append(" ".join(path))
    return texts


ONE, TWO = language(0), language(1)


@pytest.fixture
def raw(tmp_path):
    """A fifth is in the target's language: 60 documents of 300, within one mixed source."""
    texts = [*documents(ONE, 60, 2), *documents(TWO, 240, 3)]
    order = np.random.default_rng(4).permutation(300)
    rows = [{"text": texts[i], "id": str(i), "source": f"s{n % 2}"} for n, i in enumerate(order)]
    return write_corpus(tmp_path / "raw", rows, shard_bytes=30_000)


@pytest.fixture
def target(tmp_path):
    rows = [{"text": text} for text in documents(ONE, 60, 5)]
    return write_corpus(tmp_path / "target", rows)


DESIGN = SweepDesign(methods=("dsir",), amounts=(0.05, 0.2, 0.8), seeds=2)


def test_the_planted_amount_is_best_and_more_is_marked_as_worse(tmp_path, raw, target):
    report = sweep(raw, target, tmp_path / "out", replace(DESIGN, seeds=4))
    losses = [report.cell("dsir", "own size", amount).bpb for amount in (0.05, 0.2, 0.8)]
    assert losses[1] == min(losses)
    assert report.cell("dsir", "own size", 0.2).worse_than is None
    assert report.cell("dsir", "own size", 0.8).worse_than == 0.2
    for amount in (0.05, 0.2):
        cell = report.cell("dsir", "own size", amount)
        assert cell.against_random < -2 * cell.against_random_se
    # The sources are alike, so neither of the trivial rules can find the needle.
    nearest = report.cell("most similar source", "own size", 0.2)
    assert nearest.bpb > losses[1] + 0.1
    assert any(finding.startswith("dsir at 0.2 beats the most sim") for finding in report.findings)
    assert json.loads((tmp_path / "out/sweep.json").read_text())["facts"]["pool_documents"] == 300


def test_the_most_similar_source_is_taken_first(tmp_path, target):
    rows = [{"text": text, "source": "right"} for text in documents(ONE, 60, 2)]
    rows += [{"text": text, "source": "wrong"} for text in documents(TWO, 240, 3)]
    raw = write_corpus(tmp_path / "raw", rows)
    report = sweep(raw, target, tmp_path / "out", DESIGN)
    dsir, nearest = (report.cell(m, "own size", 0.2).bpb for m in ("dsir", "most similar source"))
    assert nearest == pytest.approx(dsir, abs=0.05)


def test_nothing_held_out_is_selected_by_or_trained_on(tmp_path, raw, target):
    leaked = target.table(["text"])["text"].to_pylist()[:30]
    leaky = write_corpus(tmp_path / "leaky", [{"text": text, "source": "leak"} for text in leaked])
    sweep([raw, leaky], target, tmp_path / "out", DESIGN)
    held_out, reference, pool = (
        set(Corpus.open(tmp_path / "out/work" / place).table(["text"])["text"].to_pylist())
        for place in ("split/held-out", "split/reference", "pool")
    )
    assert len(held_out) == pytest.approx(30, abs=2)
    assert not held_out & (reference | pool)
    assert held_out | reference == set(target.table(["text"])["text"].to_pylist())
    assert set(leaked) - held_out <= pool


def test_a_killed_sweep_continues_to_the_same_result(tmp_path, raw, target, monkeypatch):
    whole = sweep(raw, target, tmp_path / "whole", DESIGN)
    true, calls = NgramProxy.losses, []

    def dying(self, masks, **options):
        if len(calls) == 5:
            raise KeyboardInterrupt
        calls.append(len(masks))
        return true(self, masks, **options)

    monkeypatch.setattr(NgramProxy, "losses", dying)
    with pytest.raises(KeyboardInterrupt):
        sweep(raw, target, tmp_path / "out", DESIGN)
    calls.clear()
    monkeypatch.setattr(NgramProxy, "losses", lambda *a, **o: calls.append(1) or true(*a, **o))
    assert sweep(raw, target, tmp_path / "out", DESIGN).cells == whole.cells
    assert len(calls) == 3 * 2 * 2 - 5
    calls.clear()
    sweep(raw, target, tmp_path / "out", DESIGN)
    assert calls == []


def test_the_same_choice_is_trained_on_once(tmp_path, raw, target, monkeypatch):
    true, trained = NgramProxy.losses, []

    def counting(self, masks, **options):
        trained.extend(int(mask.sum()) for mask in masks)
        return true(self, masks, **options)

    monkeypatch.setattr(NgramProxy, "losses", counting)
    design = SweepDesign(methods=("dsir", "ngram-perplexity"), amounts=(0.1, 1.0), seeds=2)
    report = sweep(raw, target, tmp_path / "out", design, engine=ThreadEngine(workers=1))
    # Everything: once at its own size; at equal compute once a seed.
    assert trained.count(300) == 1 + 2
    assert len({report.cell(m, "own size", 1.0).bpb for m in design.all_methods}) == 1


def test_more_seeds_and_methods_reuse_what_is_done():
    more = SweepDesign(methods=("dsir", "ngram-perplexity"), amounts=(0.05, 0.1, 0.8), seeds=5)
    arm = Arm("dsir", 1, "own size", 0.05)
    assert more.arm_key(arm, "x") == DESIGN.arm_key(arm, "x")
    assert more.arm_key(arm, "y") != DESIGN.arm_key(arm, "x")
    other = SweepDesign(methods=("dsir",), amounts=(0.05,), rule="resample")
    assert other.arm_key(arm, "x") != DESIGN.arm_key(arm, "x")


def test_learning_on_top_is_learning_from_scratch(tmp_path, raw, target):
    proxy = NgramProxy(raw, target)
    small = np.arange(300) < 40
    large = np.arange(300) < 90
    other = np.arange(300) > 200
    together = proxy.losses([small, large, other], training_bytes=None, seed=0)
    for mask, nats in zip((small, large, other), together):
        (alone,) = proxy.losses([mask], training_bytes=None, seed=0)
        np.testing.assert_allclose(nats, alone, rtol=1e-12)


def test_every_proxy_gives_every_word_a_probability_of_one_sum(tmp_path):
    pool = write_corpus(tmp_path / "pool", [{"text": "a b a"}, {"text": "c d e c"}])
    words = ["a", "b", "c", "d", "e", "f"]
    held_out = write_corpus(tmp_path / "held", [{"text": word} for word in words])
    proxy = NgramProxy(pool, held_out)
    for mask in ([True, False], [False, True], [True, True]):
        (nats,) = proxy.losses([np.array(mask)], training_bytes=None, seed=0)
        assert np.exp(-nats).sum() == pytest.approx(1.0)


def test_equal_compute_trains_on_equal_bytes(raw):
    everything = np.ones(300, bool)
    sizes = np.array([len(t) for t in raw.table(["text"])["text"].to_pylist()])
    part = sample_mask(raw, everything, 20_000, seed=1)
    assert 20_000 - sizes.max() < sizes[part].sum() <= 20_000
    assert (sample_mask(raw, part, 10**9, seed=1) == part).all()


def test_the_standard_error_of_a_difference_covers_the_truth():
    # Planted: units of unequal size, a seed effect and unit noise, in 400 worlds.
    generator = np.random.default_rng(0)
    sizes = generator.integers(200, 2000, 60).astype(float)
    inside = []
    for _ in range(400):
        unit = generator.normal(0.1, 0.05, 60) * sizes
        seed_effect = generator.normal(0, 0.01, (5, 1)) * sizes
        found = difference(unit + seed_effect, np.zeros((5, 60)), sizes)
        inside.append(abs(found.gap - 0.1 / np.log(2)) < 2 * found.error)
    assert 0.9 < np.mean(inside) <= 1.0


def test_noise_alone_is_seldom_called_worse():
    # Two arms without a true difference, noise over seeds only; chance is 0.5 % by design, and
    # two standard errors of three seeds would be exceeded in 9 %.
    generator = np.random.default_rng(1)
    sizes = np.full(40, 1000.0)
    worse = [
        difference(generator.normal(0, 10, (3, 1)) + np.zeros((3, 40)), np.zeros((3, 40)), sizes)
        for _ in range(2000)
    ]
    assert np.mean([found.worse for found in worse]) < 0.01


def test_the_split_depends_on_ids_alone(tmp_path, target):
    rows = target.table().to_pylist()
    shuffled = write_corpus(tmp_path / "shuffled", rows[::-1], shard_bytes=1000)
    options = {"held_out": 0.3, "held_out_bytes": 10**9, "seed": 1}
    one = split_target(target, tmp_path / "one", **options)
    two = split_target(shuffled, tmp_path / "two", **options)
    for left, right in zip(one, two):
        assert set(left.table()["id"].to_pylist()) == set(right.table()["id"].to_pylist())
    single = write_corpus(tmp_path / "single", [{"text": "one"}])
    with pytest.raises(InputError, match="at least two"):
        split_target(single, tmp_path / "three", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amounts": ()}, "must be shares"),
        ({"amounts": (0.0,)}, "must be shares"),
        ({"seeds": 0}, "'seeds': must be at least 1"),
        ({"rule": "threshold"}, "a sweep takes top or resample"),
        ({"proxy": "oracle"}, "must be ngram or neural"),
        ({"methods": ("dsir:m=1",)}, "no setting of dsir"),
        ({"methods": ("nothing",)}, "no selector is called 'nothing'"),
    ],
)
def test_designs_that_cannot_be_are_named(options, message):
    with pytest.raises(InputError, match=message):
        SweepDesign(**{"methods": ("dsir",), "amounts": (0.1,)} | options)


def test_an_amount_of_less_than_a_document_is_named(tmp_path, raw, target):
    design = SweepDesign(methods=(), amounts=(0.0001,))
    with pytest.raises(InputError, match="less than one document"):
        sweep(raw, target, tmp_path / "out", design)


def test_the_command_prints_both_views_and_writes_a_page(tmp_path, raw, target):
    out = tmp_path / "out"
    arguments = ["select", raw.location, "-t", target.location, "-o", str(out)]
    arguments += ["--sweep", "0.05,0.2,0.8", "--seeds", "2", "--method"]
    result = CliRunner().invoke(app, [*arguments, "dsir,dsir:length_normalised=true"])
    assert result.exit_code == 0, result.output
    assert "own size" in result.output
    assert "equal compute" in result.output
    assert re.search(r"dsir:length_normalised=true +\d", result.output)
    page = (out / "sweep.html").read_text()
    assert page.count("Plotly.newPlot") == 2
    for name in BASELINES:
        assert f"<td>{name}</td>" in page
    dry = CliRunner().invoke(app, [*arguments, "dsir", "--dry-run"])
    assert "about" in dry.output


def test_the_neural_proxy_tells_its_price_and_its_least_amount(tmp_path):
    pytest.importorskip("torch")
    rows = [{"text": text} for text in documents(ONE, 400, 2)]
    raw = write_corpus(tmp_path / "raw", rows, source="s")
    arguments = ["select", raw.location, "-t", raw.location, "-o", str(tmp_path / "out")]
    arguments += ["--proxy", "neural", "--dry-run", "--sweep"]
    result = CliRunner().invoke(app, [*arguments, "0.5,1"])
    # 3 methods, 3 seeds, 2 views, 2 amounts.
    assert "36 models" in result.output
    assert "about" in result.output
    result = CliRunner().invoke(app, [*arguments, "0.001"])
    assert "too small for the neural proxy" in str(result.exception)


def test_the_page_draws_without_complaints(tmp_path, raw, target, browser):
    from leadsman.select.sweep.page import write_page

    design = SweepDesign(methods=("dsir",), amounts=(0.1, 0.5), seeds=1)
    write_page(sweep(raw, target, tmp_path, design), tmp_path)
    opened = browser.open(tmp_path / "sweep.html")
    assert not opened.errors
    assert opened.dom.count("main-svg") >= 2


def test_the_neural_proxy_learns_what_it_is_given(tmp_path):
    # The least it takes: 22 steps on each language, measured on one of them.
    pytest.importorskip("torch")
    from leadsman.select.sweep.neural import NeuralProxy

    texts = documents(ONE, 300, 2) + documents(TWO, 300, 3)
    pool = write_corpus(tmp_path / "pool", [{"text": text} for text in texts])
    held_out = write_corpus(tmp_path / "held", [{"text": t} for t in documents(ONE, 30, 5)])
    proxy = NeuralProxy(pool, held_out, tmp_path / "work", width=48)
    right = np.arange(600) < 300
    size = int(23_000 * proxy.held_out.manifest.bytes / proxy.held_out.manifest.tokens)
    losses = proxy.losses([right, ~right], training_bytes=size, seed=0)
    bits = [float(nats.sum() / np.log(2) / proxy.sizes.sum()) for nats in losses]
    assert bits[0] < bits[1] - 0.05
    # All of the held-out bytes are told, and a uniform guess of the vocabulary is beaten.
    tokens = proxy.held_out.manifest.tokens - 30
    guess = tokens * np.log2(proxy.tokenizer.get_vocab_size()) / proxy.sizes.sum()
    assert bits[0] < guess


@pytest.mark.slow
def test_a_neural_sweep_finds_the_planted_language(tmp_path):
    pytest.importorskip("torch")
    rows = [{"text": t, "source": "a"} for t in documents(ONE, 800, 2) + documents(TWO, 800, 3)]
    raw = write_corpus(tmp_path / "raw", rows)
    target = write_corpus(tmp_path / "target", [{"text": t} for t in documents(ONE, 60, 5)])
    design = SweepDesign(methods=("dsir",), amounts=(0.5,), seeds=1, proxy="neural")
    report = sweep(raw, target, tmp_path / "out", design)
    assert report.cell("dsir", "own size", 0.5).against_random < -0.05
