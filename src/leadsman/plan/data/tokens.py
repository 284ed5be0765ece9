"""A tokenizer, given or trained on the sources; token sets of sources, selections and target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadsman.corpus import Corpus
from leadsman.plan.data.choose import selected_sets
from leadsman.plan.project import Project
from leadsman.plan.workspace import Workspace
from leadsman.train.feed import data_id
from leadsman.train.tokens import load_tokenizer, tokenize_corpus, train_tokenizer

HELD_OUT = "target"
"""Name of the evaluation set; results are ``bpb.target``."""


def tokenise(
    project: Project, workspace: Workspace, *, given: Path | None = None
) -> dict[str, Any]:
    """Write a token set for each source, the selections and the target.

    Args:
        project: with sources and selections prepared.
        workspace: where they are.
        given: a ``tokenizer.json`` to use; by default one is trained on the sources.
    """
    corpora, sets = workspace.path / "corpora", list(selected_sets(project))
    clean = Corpus.open(corpora / "clean")
    names = sorted(clean.sources)
    tokenizer_file = workspace.path / "tokenizer.json"
    if given is not None:
        workspace.files.write(tokenizer_file.name, given.read_bytes())
    elif not tokenizer_file.exists():
        workspace.watcher.progress(0, len(names) + 3, "training the tokenizer")
        train_tokenizer(
            [_sample(clean, name) for name in names],
            vocab_size=project.tokenizer.vocab_size,
            path=tokenizer_file,
        )
    tokenizer = load_tokenizer(tokenizer_file)
    jobs: dict[str, tuple[Iterator[pa.RecordBatch], str]] = {
        name: (_of_source(clean, name), clean.fingerprint) for name in names
    }
    for name, folder in [*zip(sets, sets), (HELD_OUT, "target-held-out")]:
        corpus = Corpus.open(corpora / folder)
        jobs[name] = (corpus.batches(["text"]), corpus.fingerprint)
    found = {}
    for position, (name, (batches, key)) in enumerate(jobs.items()):
        workspace.watcher.progress(position + 1, len(jobs) + 1, f"tokenising {name}")
        found[name] = tokenize_corpus(
            batches, tokenizer, workspace.path / "tokens" / name, key=f"{key}/{name}"
        )
    return {
        "vocab_size": tokenizer.get_vocab_size(),
        "sets": {
            name: {
                "tokens": tokens.manifest.tokens,
                "documents": tokens.manifest.documents,
                "bytes": tokens.manifest.bytes,
                "hash": tokens.manifest.hash,
            }
            for name, tokens in found.items()
        },
        "data": data_id({name: tokens for name, tokens in found.items() if name != HELD_OUT}),
    }


def token_directories(workspace: Workspace, tokens: Mapping[str, Any]) -> dict[str, str]:
    """Directory of each training token set, by name."""
    return {
        name: str(workspace.path / "tokens" / name) for name in tokens["sets"] if name != HELD_OUT
    }


def held_out_directories(workspace: Workspace) -> dict[str, str]:
    """Directory of each evaluation token set, by name."""
    return {HELD_OUT: str(workspace.path / "tokens" / HELD_OUT)}


def _of_source(corpus: Corpus, name: str) -> Iterator[pa.RecordBatch]:
    for batch in corpus.batches(["text", "source"]):
        yield batch.filter(pa.compute.equal(batch.column("source"), name))


def _sample(corpus: Corpus, name: str, max_bytes: int = 2_000_000) -> Iterator[str]:
    """The first documents of a source: enough to train a tokenizer on."""
    size = 0
    for batch in _of_source(corpus, name):
        for text in batch.column("text").to_pylist():
            yield text
            size += len(text)
            if size >= max_bytes:
                return
