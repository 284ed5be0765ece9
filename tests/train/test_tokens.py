from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from leadsman.errors import InputError
from leadsman.train.tokens import TokenSet, load_tokenizer, tokenize_corpus, train_tokenizer


def test_decoding_a_token_set_gives_back_the_documents(texts, token_sets, paths):
    tokens = token_sets["prose"]
    tokenizer = load_tokenizer(tokens.path.parent / "tokenizer.json")
    starts = [0, *tokens.document_ends[:-1]]
    decoded = [
        tokenizer.decode(tokens.read(start, end - start - 1).tolist())
        for start, end in zip(starts, tokens.document_ends)
    ]
    assert decoded == texts["prose"]
    assert tokens.manifest.bytes == sum(len(text.encode()) for text in texts["prose"])
    ends = tokens.document_ends
    assert {int(tokens.read(end - 1, 1)[0]) for end in ends} == {tokens.manifest.end_of_text}


def test_the_tokenizer_is_the_same_every_time(texts, tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    for path in (first, second):
        train_tokenizer(texts.values(), vocab_size=300, path=path)
    assert first.read_bytes() == second.read_bytes()
    assert load_tokenizer(first).get_vocab_size() == 300


def test_any_bytes_survive(tmp_path):
    text = "naïve 深い 🚢 \x00 \t end"
    tokenizer = train_tokenizer([["plain text"]], vocab_size=260, path=tmp_path / "t.json")
    tokens = tokenize_corpus([text], tokenizer, tmp_path / "set")
    assert tokenizer.decode(tokens.read(0, len(tokens) - 1).tolist()) == text


def test_arrow_batches_and_strings_give_the_same_tokens(texts, token_sets, tmp_path):
    tokenizer = load_tokenizer(token_sets["code"].path.parent / "tokenizer.json")
    batch = pa.record_batch({"text": texts["code"]})
    assert (
        tokenize_corpus([batch], tokenizer, tmp_path / "arrow").manifest.hash
        == token_sets["code"].manifest.hash
    )


def test_reading_across_shards_equals_reading_one(texts, token_sets, tmp_path, monkeypatch):
    monkeypatch.setattr("leadsman.train.tokens.encode.SHARD_TOKENS", 100)
    monkeypatch.setattr("leadsman.train.tokens.encode.ENCODE_BYTES", 500)
    whole = token_sets["prose"]
    tokenizer = load_tokenizer(whole.path.parent / "tokenizer.json")
    split = tokenize_corpus(texts["prose"], tokenizer, tmp_path / "split")
    assert len(split.manifest.shards) > 3
    assert split.manifest.hash == whole.manifest.hash
    for start, count in [(0, len(whole)), (90, 300), (len(whole) - 5, 50), (0, 0)]:
        np.testing.assert_array_equal(split.read(start, count), whole.read(start, count))


def test_a_finished_set_with_the_same_key_is_not_read_again(token_sets, tmp_path):
    tokenizer = load_tokenizer(token_sets["code"].path.parent / "tokenizer.json")
    first = tokenize_corpus(["one two"], tokenizer, tmp_path / "set", key="k1")

    def never():
        raise AssertionError("read again")
        yield

    assert (
        tokenize_corpus(never(), tokenizer, tmp_path / "set", key="k1").manifest == first.manifest
    )
    again = tokenize_corpus(["three"], tokenizer, tmp_path / "set", key="k2")
    assert again.manifest.bytes == 5


def test_an_interrupted_set_is_not_trusted(token_sets, tmp_path):
    tokenizer = load_tokenizer(token_sets["code"].path.parent / "tokenizer.json")

    def stopped():
        yield "one two"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize_corpus(stopped(), tokenizer, tmp_path / "set", key="k")
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        TokenSet(tmp_path / "set")
    assert tokenize_corpus(["one"], tokenizer, tmp_path / "set", key="k").manifest.documents == 1


def test_a_truncated_shard_is_named(token_sets, tmp_path):
    tokenizer = load_tokenizer(token_sets["code"].path.parent / "tokenizer.json")
    tokenize_corpus(["one two three"], tokenizer, tmp_path)
    shard = tmp_path / "tokens-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"tokens-00000\.bin: holds \d+ bytes where"):
        TokenSet(tmp_path)


def test_clear_errors(token_sets, tmp_path):
    tokenizer = load_tokenizer(token_sets["code"].path.parent / "tokenizer.json")
    with pytest.raises(InputError, match="no documents"):
        tokenize_corpus([], tokenizer, tmp_path / "empty")
    with pytest.raises(InputError, match="'text' is missing"):
        tokenize_corpus([pa.record_batch({"body": ["x"]})], tokenizer, tmp_path / "body")
    with pytest.raises(InputError, match="100 is too small"):
        train_tokenizer([["x"]], vocab_size=100, path=tmp_path / "t.json")
    with pytest.raises(InputError, match="no text"):
        train_tokenizer([[]], vocab_size=300, path=tmp_path / "t.json")
    (tmp_path / "bad.json").write_text(json.dumps({"not": "a tokenizer"}))
    with pytest.raises(InputError, match=r"bad\.json: not a tokenizer"):
        load_tokenizer(tmp_path / "bad.json")
