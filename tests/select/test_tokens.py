import numpy as np
import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.corpus import write_corpus
from leadsman.errors import InputError
from leadsman.select import Policy, select
from leadsman.select.explain import explain_choice
from leadsman.select.tokens import TokenRate, measured_rate
from leadsman.testing.selectors import SEA, WINE, draw_documents
from leadsman.train.tokens import load_tokenizer, train_tokenizer


@pytest.fixture
def corpora(tmp_path):
    rows = [{"text": t, "source": "wine"} for t in draw_documents(WINE, 200, 0)]
    rows += [{"text": t, "source": "numbers"} for t in ["31 41 59 26 53 58 97 93 23 84"] * 50]
    raw = write_corpus(tmp_path / "raw", rows)
    target = write_corpus(tmp_path / "target", [{"text": t} for t in draw_documents(SEA, 50, 2)])
    train_tokenizer(
        [draw_documents(WINE, 200, 1)], vocab_size=400, path=tmp_path / "tokenizer.json"
    )
    return raw, target, tmp_path / "tokenizer.json"


def counted(corpus, path):
    tokenizer = load_tokenizer(path)
    texts = corpus.table(["text"])["text"].to_pylist()
    return sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)


def test_rates_are_measured_by_source(corpora):
    raw, _, path = corpora
    rate = measured_rate(raw, path, seed=0)
    texts = raw.table(["text", "source"]).to_pylist()
    tokenizer = load_tokenizer(path)
    for name in ("wine", "numbers"):
        mine = [row["text"] for row in texts if row["source"] == name]
        tokens = sum(len(tokenizer.encode(text).ids) for text in mine)
        assert rate.by_source[name] == pytest.approx(sum(map(len, mine)) / tokens)
    # Numbers were not in the tokenizer's training text: one rate for all would be far off.
    assert rate.by_source["wine"] > 1.5 * rate.by_source["numbers"]
    assert rate.of(np.array([100, 100]), np.array(["wine", "unknown"]))[1] == np.ceil(
        100 / rate.bytes_per_token
    )


def test_an_amount_in_tokens_is_met_within_the_error_of_the_rate(tmp_path, corpora):
    raw, target, path = corpora
    policy = Policy(tokens=2000)
    report = select(raw, target, tmp_path / "out", policy=policy, tokenizer=path)
    assert report.tokens == counted(report.corpus, path)
    assert report.tokens == pytest.approx(2000, rel=0.06)
    chosen = report.corpus.table(["id"])["id"].to_pylist()
    assert explain_choice(raw, report, chosen[0])["kept"]


def test_without_a_tokenizer_the_rate_is_stated(tmp_path, corpora):
    raw, target, _ = corpora
    arguments = ["select", raw.location, "-t", target.location, "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--tokens", "2k", "--bytes-per-token", "5"])
    assert result.exit_code == 0, result.output
    assert "estimated at 5 bytes a token" in result.output
    kept = sum(len(t) for t in _texts(tmp_path / "out"))
    assert 9000 < kept <= 10_000


def _texts(place):
    from leadsman.corpus import Corpus

    return Corpus.open(place).table(["text"])["text"].to_pylist()


def test_a_rate_that_cannot_be_is_named():
    with pytest.raises(InputError, match="bytes_per_token"):
        TokenRate(0.0)
