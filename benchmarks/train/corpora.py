"""Token sets for the training benchmarks, from the public texts under LEADSMAN_CORPORA."""

from __future__ import annotations

import os
from pathlib import Path

from leadsman.corpus import read_source
from leadsman.train.tokens import load_tokenizer, tokenize_corpus, train_tokenizer

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
