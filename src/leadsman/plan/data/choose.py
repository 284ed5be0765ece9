"""Select documents that look like the target, at the rate of the project and at others it tries."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from leadsman.corpus import Corpus
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError
from leadsman.plan.project import Project, SelectionSpec
from leadsman.plan.settings.axes import SELECTED, rate
from leadsman.plan.workspace import Workspace
from leadsman.registry import method
from leadsman.select import Policy, Selector, select

MAX_EXAMPLES = 6


def selected_sets(project: Project) -> dict[str, float]:
    """Selection rate of each set of selected documents: the project's, then those it tries."""
    spec = project.selection
    sets = {SELECTED: spec.keep}
    if SELECTED in project.soundings.mixtures:
        sets |= {f"{SELECTED}@{rate(each)}": each for each in project.vary.rates(spec.keep)}
    return sets


def choose_documents(project: Project, workspace: Workspace) -> dict[str, Any]:
    """Select documents towards the target and write them as corpora of their own.

    Sources with a price take no part: what is not bought cannot be trained on.
    """
    spec = project.selection
    clean = _free(project, workspace)
    sets: dict[str, dict[str, Any]] = {}
    for position, (name, keep) in enumerate(found := list(selected_sets(project).items())):
        workspace.watcher.progress(position, len(found), f"selecting {100 * keep:.3g} %")
        selection = select(
            clean,
            Corpus.open(workspace.path / "corpora/target-reference"),
            workspace.path / "corpora" / name,
            selector=new_selector(spec),
            policy=Policy(rule=spec.rule, fraction=keep, effective_size=spec.effective_size),
            seed=project.seed,
        )
        corpus = selection.corpus
        sets[name] = {
            "keep": keep,
            "method": selection.selector,
            "documents": corpus.documents,
            "bytes": corpus.text_bytes,
            "by_source": {name: extent.text_bytes for name, extent in selection.kept.items()},
            "effective_size": selection.effective_size,
            "overlap_with_top": selection.overlap_with_top,
            "kl_raw": selection.kl_raw,
            "kl_reduction": selection.kl_reduction,
            "corpus": corpus.fingerprint,
        }
    main = sets[SELECTED]
    note = (
        f"They lie {main['kl_raw'] - main['kl_reduction']:.2f} nats from the target "
        f"(the sources as a whole: {main['kl_raw']:.2f})."
    )
    examples = _examples(Corpus.open(workspace.path / "corpora" / SELECTED))
    called = method("selector", spec.method).__name__
    return main | {"called": called, "note": note, "examples": examples, "sets": sets}


def _free(project: Project, workspace: Workspace) -> Corpus:
    """The clean documents of sources without a price."""
    clean = Corpus.open(workspace.path / "corpora/clean")
    priced = {each.name for each in project.priced}
    if not priced:
        return clean
    job = Job(str(workspace.path / "corpora/free"), "free", {"priced": sorted(priced)}, [clean])
    if job.finished:
        return Corpus.open(workspace.path / "corpora/free")
    kept, sizes = [], []
    for batch in clean.batches(["text", "source"]):
        kept += [name not in priced for name in batch.column("source").to_pylist()]
        sizes += [len(text.encode()) for text in batch.column("text").to_pylist()]
    found = write_subset(clean, np.array(kept), np.array(sizes), job, engine=ThreadEngine())
    return publish(found, job)


def new_selector(spec: SelectionSpec) -> Selector:
    """The selector of a project.

    Raises:
        InputError: it, or one of its options, is not known.
    """
    try:
        chosen = method("selector", spec.method)(**spec.options)
    except TypeError as error:
        raise InputError(
            f"{spec.method} does not take these options: {error}", column="selection.options"
        ) from error
    return cast(Selector, chosen)


def _examples(corpus: Corpus) -> list[dict[str, str]]:
    batch = next(corpus.batches(["id", "text", "source"], batch_size=MAX_EXAMPLES))
    return [
        {"id": row["id"], "why": f"from {row['source']}", "text": row["text"][:600]}
        for row in batch.to_pylist()
    ]
