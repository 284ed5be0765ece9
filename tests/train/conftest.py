"""Small token sets of made-up text with structure a model can learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from leadsman.runs import Mixture, ModelShape, Recipe, Schedule
from leadsman.train.feed import data_id
from leadsman.train.tokens import TokenSet, tokenize_corpus, train_tokenizer

SHAPE = ModelShape(
    layers=2, width=32, heads=4, kv_heads=2, ffn_width=48, vocab_size=320, seq_len=16
)


def sentences(seed: int, words: list[str], count: int) -> list[str]:
    generator = np.random.default_rng(seed)
    chance = 1 / np.arange(1, len(words) + 1)
    return [
        " ".join(generator.choice(words, size=generator.integers(5, 40), p=chance / chance.sum()))
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def texts() -> dict[str, list[str]]:
    prose = "the sea is deep and a leadsman sounds it before ship sails over unknown water"
    code = "def return self if else for in range len print class import assert yield"
    return {
        "prose": sentences(0, prose.split(), 300),
        "code": sentences(1, code.split(), 200),
    }


@pytest.fixture(scope="session")
def token_sets(
    texts: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, TokenSet]:
    root = tmp_path_factory.mktemp("tokens")
    tokenizer = train_tokenizer(texts.values(), vocab_size=320, path=root / "tokenizer.json")
    return {name: tokenize_corpus(docs, tokenizer, root / name) for name, docs in texts.items()}


@pytest.fixture(scope="session")
def paths(token_sets: dict[str, TokenSet]) -> dict[str, str]:
    return {name: str(tokens.path) for name, tokens in token_sets.items()}


@pytest.fixture
def recipe(token_sets: dict[str, TokenSet]) -> Recipe:
    return make_recipe(token_sets)


def make_recipe(token_sets: dict[str, TokenSet], **changes: object) -> Recipe:
    settings: dict[str, object] = {
        "shape": SHAPE,
        "mixture": Mixture("even", {"prose": 1, "code": 1}),
        "data": data_id(token_sets),
        "tokens": 64 * 20,
        "batch_tokens": 64,
        "lr": 0.01,
        "schedule": Schedule(warmup_tokens=128),
        "seed": 3,
    }
    return Recipe(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def new_recipe(token_sets: dict[str, TokenSet]):
    return lambda **changes: make_recipe(token_sets, **changes)


@contextmanager
def stopped_after(trainer: type, steps: int) -> Iterator[None]:
    """What is done inside is interrupted as the step after so many begins."""
    one_step, done = trainer._one_step, 0

    def counted(self, *arguments):
        nonlocal done
        done += 1
        if done > steps:
            raise KeyboardInterrupt
        return one_step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_one_step", counted)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def interrupted():
    return stopped_after
