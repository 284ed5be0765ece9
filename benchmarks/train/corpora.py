"""Token sets for the training benchmarks: texts under LEADSMAN_CORPORA, or random ids."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from leadsman.corpus import read_source
from leadsman.files import Directory
from leadsman.runs import Mixture, ModelShape, Recipe
from leadsman.train.defaults import default_recipe
from leadsman.train.feed import data_id
from leadsman.train.tokens import (
    TokenManifest,
    TokenSet,
    load_tokenizer,
    tokenize_corpus,
    train_tokenizer,
)

SOURCES = {"code": "sympy_code.parquet", "prose": "peps.parquet"}
HELD_OUT_DOCUMENTS = 40


def token_sets(out: Path, *, vocab_size: int = 2048) -> tuple[dict[str, str], dict[str, str]]:
    """Directories of the sources and of a held-out set (the first documents of the prose)."""
    corpora = Path(os.environ["LEADSMAN_CORPORA"])
    texts = {
        name: [
            text for batch in read_source(str(corpora / file)) for text in batch["text"].to_pylist()
        ]
        for name, file in SOURCES.items()
    }
    texts["target"] = texts["prose"][:HELD_OUT_DOCUMENTS]
    texts["prose"] = texts["prose"][HELD_OUT_DOCUMENTS:]
    file = out / "tokenizer.json"
    if not file.exists():
        samples = [texts[name][:300] for name in SOURCES]
        train_tokenizer(samples, vocab_size=vocab_size, path=file)
    tokenizer = load_tokenizer(file)
    for name, documents in texts.items():
        tokenize_corpus(documents, tokenizer, out / name, key=f"{name} {len(documents)}")
    places = {name: str(out / name) for name in texts}
    target = places.pop("target")
    return places, {"target": target}


class Corpora:
    """The texts as sources in equal parts.

    Args:
        out: where their token sets are kept.

    Attributes:
        sources, held_out: directories of the token sets, by name.
        sets: the sources opened.
    """

    def __init__(self, out: str) -> None:
        self.sources, self.held_out = token_sets(Path(out))
        self.sets = {name: TokenSet(path) for name, path in self.sources.items()}

    def recipe(self, shape: ModelShape, tokens: int, *, seed: int = 0) -> Recipe:
        """The default recipe on them."""
        mixture = Mixture("uniform", dict.fromkeys(self.sets, 1.0))
        return default_recipe(shape, mixture, data_id(self.sets), tokens, seed=seed)


def random_tokens(out: Path, *, vocab_size: int) -> Path:
    """A token set of a million random ids."""
    ids = np.random.default_rng(0).integers(vocab_size, size=1 << 20, dtype=np.uint16)
    manifest = TokenManifest(
        tokens=len(ids),
        documents=1,
        bytes=len(ids),
        vocab_size=vocab_size,
        end_of_text=0,
        dtype="uint16",
        tokenizer="",
        hash="",
        shards=[len(ids)],
    )
    directory = Directory(str(out))
    directory.write("tokens-00000.bin", ids.tobytes())
    directory.write_json("manifest.json", asdict(manifest))
    return out
