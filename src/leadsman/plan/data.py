"""From a project's sources and target to token sets and mixtures.

prepare    read, drop duplicates, drop what the target holds too
select     documents that look like the target
tokenise   a BPE trained on the sources; token sets for training and evaluation
mixtures   natural, uniform, selected, as shares of token sets
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa

from leadsman.corpus import (
    Corpus,
    Extent,
    Source,
    convert,
    decontaminate,
    deduplicate,
    write_corpus,
)
from leadsman.corpus.removal import RemovalReport
from leadsman.errors import InputError
from leadsman.plan.project import Project, SelectionSpec, SourceSpec
from leadsman.plan.workspace import Workspace
from leadsman.registry import method
from leadsman.runs import Mixture
from leadsman.select import Policy, Selector, select
from leadsman.train.feed import data_id
from leadsman.train.tokens import load_tokenizer, tokenize_corpus, train_tokenizer

SELECTED = "selected"
"""Name of the token set of selected documents, beside those of the sources."""
HELD_OUT = "target"
"""Name of the evaluation set; results are ``bpb.target``."""
MAX_EXAMPLES = 6


def prepare(project: Project, workspace: Workspace) -> dict[str, Any]:
    """Read sources and target; drop duplicates and what the target holds too.

    Raises:
        InputError: a source or the target cannot be read, is empty, or becomes empty.
    """
    reference, held_out = _read_target(project, workspace)
    sources = []
    for position, spec in enumerate(project.sources):
        workspace.watcher.progress(position, len(project.sources) + 2, f"reading {spec.name}")
        sources.append(_read_source(spec, workspace))
    workspace.watcher.progress(len(sources), len(sources) + 2, "dropping duplicates")
    # A source that the mixture counts on must not vanish.
    unique = deduplicate(
        [source.corpus for source in sources],
        workspace.path / "corpora/unique",
        stop_source_loss=1.0,
    )
    workspace.watcher.progress(len(sources) + 1, len(sources) + 2, "comparing with the target")
    clean = decontaminate(
        unique.corpus,
        Corpus.join([reference, held_out]),
        workspace.path / "corpora/clean",
        stop_source_loss=1.0,
    )
    rows = [_source_row(source, unique, clean) for source in sources]
    return {
        "project": project.name,
        "sources": rows,
        "precision": unique.precision,
        "warnings": [*unique.warnings, *clean.warnings],
        "reference_documents": reference.documents,
        "held_out_documents": held_out.documents,
        "held_out_bytes": held_out.text_bytes,
        "examples": _removed_examples(unique) + _removed_examples(clean),
        "corpus": Corpus.open(workspace.path / "corpora/clean").fingerprint,
        "reference": reference.fingerprint,
        "held_out": held_out.fingerprint,
    }


def choose_documents(project: Project, workspace: Workspace) -> dict[str, Any]:
    """Select documents towards the target and write them as a corpus of their own."""
    spec = project.selection
    selection = select(
        Corpus.open(workspace.path / "corpora/clean"),
        Corpus.open(workspace.path / "corpora/target-reference"),
        workspace.path / "corpora/selected",
        selector=_selector(spec),
        policy=Policy(rule=spec.rule, fraction=spec.keep, effective_size=spec.effective_size),
        seed=project.seed,
    )
    corpus = selection.corpus
    return {
        "method": selection.selector,
        "documents": corpus.documents,
        "bytes": corpus.text_bytes,
        "by_source": {name: extent.text_bytes for name, extent in selection.kept.items()},
        "effective_size": selection.effective_size,
        "overlap_with_top": selection.overlap_with_top,
        "kl_raw": selection.kl_raw,
        "kl_reduction": selection.kl_reduction,
        "note": (
            f"They lie {selection.kl_raw - selection.kl_reduction:.2f} nats from the target "
            f"(the sources as a whole: {selection.kl_raw:.2f})."
        ),
        "examples": _examples(corpus),
        "corpus": corpus.fingerprint,
    }


def tokenise(project: Project, workspace: Workspace) -> dict[str, Any]:
    """Train the tokenizer and write a token set for each source, the selection and the target."""
    corpora = workspace.path / "corpora"
    clean = Corpus.open(corpora / "clean")
    names = sorted(clean.sources)
    tokenizer_file = workspace.path / "tokenizer.json"
    if not tokenizer_file.exists():
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
    for name, folder in ((SELECTED, "selected"), (HELD_OUT, "target-held-out")):
        corpus = Corpus.open(corpora / folder)
        jobs[name] = (corpus.batches(["text"]), corpus.fingerprint)
    sets = {}
    for position, (name, (batches, key)) in enumerate(jobs.items()):
        workspace.watcher.progress(position + 1, len(jobs) + 1, f"tokenising {name}")
        sets[name] = tokenize_corpus(
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
            for name, tokens in sets.items()
        },
        "data": data_id({name: tokens for name, tokens in sets.items() if name != HELD_OUT}),
    }


def token_directories(workspace: Workspace, tokens: Mapping[str, Any]) -> dict[str, str]:
    """Directory of each training token set, by name."""
    return {
        name: str(workspace.path / "tokens" / name) for name in tokens["sets"] if name != HELD_OUT
    }


def held_out_directories(workspace: Workspace) -> dict[str, str]:
    """Directory of each evaluation token set, by name."""
    return {HELD_OUT: str(workspace.path / "tokens" / HELD_OUT)}


def mixtures(project: Project, prepared: Mapping[str, Any]) -> list[Mixture]:
    """The mixtures to sound, as shares of the token sets.

    ``natural`` draws each source by its full size (as declared, less what deduplication would take
    from the rest at the same rate), ``uniform`` draws all sources alike, ``selected`` draws from
    the selected documents.
    """
    kept = {
        source["name"]: source["kept_bytes"] * source["declared_bytes"] / source["bytes"]
        for source in prepared["sources"]
    }
    weights: dict[str, dict[str, float]] = {
        "natural": kept,
        "uniform": dict.fromkeys(kept, 1.0),
        "selected": {SELECTED: 1.0},
    }
    return [Mixture(name, weights[name]) for name in project.soundings.mixtures]


def shares_by_source(mixture: Mixture, selected: Mapping[str, Any]) -> dict[str, float]:
    """Share of each source in a mixture, selected documents counted under theirs."""
    if SELECTED not in mixture.weights:
        return dict(mixture.weights)
    by_source: Mapping[str, float] = selected["by_source"]
    total = sum(by_source.values())
    return {name: size / total for name, size in by_source.items()}


def _selector(spec: SelectionSpec) -> Selector:
    try:
        chosen = method("selector", spec.method)(**spec.options)
    except TypeError as error:
        raise InputError(
            f"{spec.method} does not take these options: {error}", column="selection.options"
        ) from error
    return cast(Selector, chosen)


def _read_source(spec: SourceSpec, workspace: Workspace) -> Source:
    report = convert(spec.path, workspace.path / "corpora/raw" / spec.name, source=spec.name)
    if report.rejected:
        workspace.watcher.note(
            f"{spec.name}: {report.rejected} rows could not be used; first: {report.first_reject}"
        )
    price = None if spec.price is None else spec.price.value
    return Source(spec.name, report.corpus, spec.declared_bytes or 0, price)


def _read_target(project: Project, workspace: Workspace) -> tuple[Corpus, Corpus]:
    """The documents to select by, and those to evaluate on, without near copies."""
    spec, corpora = project.target, workspace.path / "corpora"
    raw = convert(spec.path, corpora / "raw-target", source=spec.name)
    unique = deduplicate([raw.corpus], corpora / "target-unique").corpus
    table = pl.DataFrame(unique.table())
    order = [
        hashlib.blake2b(f"{project.seed}:{identity}".encode(), digest_size=8).digest()
        for identity in table["id"]
    ]
    table = table.with_columns(order=pl.Series(order), size=pl.col("text").str.len_bytes())
    table = table.sort("order", "id").with_columns(ahead=pl.col("size").cum_sum() - pl.col("size"))
    limit = min(spec.held_out * unique.text_bytes, spec.held_out_bytes)
    kept_back = table.filter(pl.col("ahead") < limit)
    rest = table.filter(pl.col("ahead") >= limit)
    if rest.is_empty() or kept_back.is_empty():
        raise InputError(
            f"holds {unique.documents} different documents; at least two are needed, one to "
            f"select by and one to evaluate on",
            file=spec.path,
        )
    columns = ["id", "text", "source"]
    reference = write_corpus(
        corpora / "target-reference", rest.select(columns).iter_rows(named=True)
    )
    held_out = write_corpus(
        corpora / "target-held-out", kept_back.select(columns).iter_rows(named=True)
    )
    return reference, held_out


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


def _examples(corpus: Corpus) -> list[dict[str, str]]:
    batch = next(corpus.batches(["id", "text", "source"], batch_size=MAX_EXAMPLES))
    return [
        {"id": row["id"], "why": f"from {row['source']}", "text": row["text"][:600]}
        for row in batch.to_pylist()
    ]


def _source_row(source: Source, unique: RemovalReport, clean: RemovalReport) -> dict[str, Any]:
    """What became of one source; kept and dropped add up to what was read."""
    nothing = Extent()
    offered = unique.offered[source.name]
    distinct = clean.offered.get(source.name, nothing)
    kept = clean.kept.get(source.name, nothing)
    return {
        "name": source.name,
        "documents": offered.documents,
        "bytes": offered.text_bytes,
        "declared_bytes": source.declared_bytes,
        "duplicates": offered.documents - distinct.documents,
        "duplicate_bytes": offered.text_bytes - distinct.text_bytes,
        "contaminated": distinct.documents - kept.documents,
        "contaminated_bytes": distinct.text_bytes - kept.text_bytes,
        "kept_documents": kept.documents,
        "kept_bytes": kept.text_bytes,
    }


def _removed_examples(report: RemovalReport) -> list[dict[str, str]]:
    return [
        {
            "id": example["id"],
            "why": example["reason"]
            + (f", a copy of {example['kept_id']}" if example.get("kept_id") else ""),
            "text": example["excerpt"],
        }
        for example in list(report.examples)[: MAX_EXAMPLES // 2]
    ]


def input_files(project: Project) -> list[list[str | int]]:
    """Path, size and time of change of every input, so that a changed file is read again."""
    found: list[list[str | int]] = []
    for path in map(Path, [*(spec.path for spec in project.sources), project.target.path]):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [
            [str(file), file.stat().st_size, file.stat().st_mtime_ns]
            for file in files
            if file.is_file()
        ]
    return found
