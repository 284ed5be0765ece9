import json

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from leadsman.corpus import Corpus, write_corpus
from leadsman.errors import InputError, MethodError
from leadsman.mix import MixingProblem, mix
from leadsman.mix.methods._runs import random_mixtures
from leadsman.mix.methods.exponential_mixing import ExponentialMixing
from leadsman.mix.methods.regmix import RegMix
from leadsman.mix.methods.target_likelihood import TargetLikelihood, interpolation_weights
from leadsman.mix.methods.temperature import Temperature
from leadsman.mix.problem import fill
from leadsman.runs import Mixture
from leadsman.testing.mixers import MixerConformance, draw_documents


class Problems(MixerConformance):
    def make(self):
        return Temperature()


@pytest.fixture
def problem(tmp_path):
    return Problems().problem(tmp_path)


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=6),
    st.lists(st.floats(0.05, 1), min_size=6, max_size=6),
)
def test_filling_keeps_proportions_among_those_not_cut(weights, room):
    weights, most = np.array(weights), np.array(room[: len(weights)])
    most = most / min(1.0, most.sum())
    shares = fill(weights, most)
    assert shares.sum() == pytest.approx(1)
    assert (shares <= most + 1e-9).all()
    free = np.flatnonzero((shares < most - 1e-9) & (weights > 1e-6 * weights.sum()))
    ratios = shares[free] / weights[free]
    assert not len(ratios) or np.ptp(ratios) <= 1e-6 * ratios.max()


def test_interpolation_weights_are_the_best_and_find_a_planted_mixture():
    generator = np.random.default_rng(0)
    each = generator.dirichlet(np.ones(50), 4)
    true = np.array([0.5, 0.3, 0.2, 0.0])
    found = interpolation_weights(each, 1e6 * true @ each, rounds=20_000)
    np.testing.assert_allclose(found, true, atol=0.01)
    # Independent: the same concave sum by a general optimiser, on noisy counts.
    counts = generator.multinomial(300, true @ each)

    def minus(logits):
        weights = np.exp(logits - logits.max())
        return -counts @ np.log(weights / weights.sum() @ each)

    best = min(minimize(minus, generator.normal(size=4)).fun for _ in range(5))
    weights = interpolation_weights(each, counts, rounds=20_000)
    assert -counts @ np.log(weights @ each) == pytest.approx(best, rel=1e-5)


def test_temperature_one_is_natural_and_a_high_one_is_even(tmp_path):
    rows = [{"text": "a b c d " * 5, "source": "big"}] * 9 + [
        {"text": "e f g h " * 5, "source": "s"}
    ]
    sources = write_corpus(tmp_path / "sources", rows)
    problem = MixingProblem(sources, sources, proxy_bytes=40)
    assert Temperature().fit(problem).weights["big"] == pytest.approx(0.9)
    assert Temperature(2.0).fit(problem).weights["big"] == pytest.approx(0.75)
    assert Temperature(1e9).fit(problem).weights["big"] == pytest.approx(0.5)


def test_a_draw_has_the_proportions_and_shares_documents_between_mixtures(problem):
    sources = np.array(problem.sources.table(["source"])["source"].to_pylist())
    sizes = np.array([len(t) for t in problem.sources.table(["text"])["text"].to_pylist()])
    one = problem.draw(Mixture("one", {"alpha": 0.5, "beta": 0.3, "gamma": 0.2}), seed=3)
    for name, share in (("alpha", 0.5), ("beta", 0.3), ("gamma", 0.2)):
        drawn = sizes[one & (sources == name)].sum()
        assert drawn == pytest.approx(share * problem.proxy_bytes, abs=float(sizes.max()))
    less = problem.draw(Mixture("two", {"alpha": 0.2, "beta": 0.3, "gamma": 0.5}), seed=3)
    assert not (less & ~one & (sources != "gamma")).any()


def test_random_mixtures_reach_from_nearly_pure_to_nearly_even(problem):
    shares = random_mixtures(problem, 500, seed=0)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.max(axis=1).max() > 0.99
    assert shares.max(axis=1).min() < 0.45
    np.testing.assert_allclose(shares.mean(axis=0), problem.natural, atol=0.05)


def test_the_mixture_beats_natural_on_text_it_was_not_tuned_by(tmp_path):
    rows = [
        {"text": text, "source": f"s{language}"}
        for language in range(4)
        for text in draw_documents(language, 120, 0)
    ]
    target = [
        {"text": t} for t in [*draw_documents(0, 60, 1), *draw_documents(1, 30, 1), rows[0]["text"]]
    ]
    sources = write_corpus(tmp_path / "sources", rows)
    wanted = write_corpus(tmp_path / "target", target)
    report = mix(
        sources, wanted, tmp_path / "out", mixer=RegMix(32, foreseen=3000, best=30), seeds=3
    )
    assert report.gain_ci[0] > 0
    assert (
        report.weights["s0"]
        > report.weights["s1"]
        > max(report.weights["s2"], report.weights["s3"])
    )
    block = yaml.safe_load((tmp_path / "out/mixture.yaml").read_text())["mixture"]
    assert Mixture("again", block).weights == pytest.approx(dict(report.weights), abs=1e-5)
    clean = Corpus.open(tmp_path / "out/work/clean").table(["text"])["text"].to_pylist()
    assert rows[0]["text"] not in clean
    again = mix(
        sources, wanted, tmp_path / "out", mixer=RegMix(32, foreseen=3000, best=30), seeds=3
    )
    assert again == report
    assert json.loads((tmp_path / "out/report.json").read_text())["mixer"] == "regmix"


def test_cheap_runs_are_kept_and_not_done_again(tmp_path, problem, monkeypatch):
    from leadsman.corpus.ngrams.proxy import NgramProxy
    from leadsman.files import Directory

    kept = MixingProblem(problem.sources, problem.target, work=Directory(str(tmp_path / "kept")))
    first = ExponentialMixing(4).fit(kept, seed=1)
    calls = []
    monkeypatch.setattr(NgramProxy, "losses", lambda *a, **o: calls.append(1))
    assert ExponentialMixing(4).fit(kept, seed=1) == first
    assert calls == []


def test_what_cannot_be_is_named(tmp_path, problem):
    single = write_corpus(tmp_path / "single", [{"text": "a b"}], source="only")
    with pytest.raises(InputError, match="nothing to mix"):
        MixingProblem(single, single)
    with pytest.raises(InputError, match="allow more epochs"):
        MixingProblem(problem.sources, problem.target, training_bytes=10**9)
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        MixingProblem(problem.sources, problem.target, training_bytes=0)
    with pytest.raises(InputError, match="proxy_bytes"):
        MixingProblem(problem.sources, problem.target, proxy_bytes=10**9)
    tiny = MixingProblem(problem.sources, problem.target, proxy_bytes=5)
    with pytest.raises(InputError, match="no whole document"):
        tiny.draw(Mixture("m", {"alpha": 1.0}), seed=0)
    for make in (
        lambda: RegMix(5),
        lambda: RegMix(best=0),
        lambda: ExponentialMixing(1),
        lambda: Temperature(0.0),
        lambda: TargetLikelihood(n=0),
        lambda: TargetLikelihood(smoothing=1.0),
    ):
        with pytest.raises(MethodError, match="must"):
            make()
