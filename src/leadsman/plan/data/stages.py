"""The stages of a plan from files to token sets and mixtures, each kept and each told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadsman.plan import tell
from leadsman.plan.data.choose import choose_documents, selected_sets
from leadsman.plan.data.mixtures import full_tokens, mixtures, readable_tokens, shares_by_source
from leadsman.plan.data.prepare import input_files, prepare
from leadsman.plan.data.tokens import tokenise
from leadsman.plan.project import Project
from leadsman.plan.starts import Start
from leadsman.plan.workspace import Workspace, fingerprint_of
from leadsman.runs import Mixture


def data_stages(
    project: Project, workspace: Workspace, starts: Sequence[Start], *, here: bool
) -> tuple[dict[str, Any], list[Mixture]]:
    """From files to token sets and mixtures.

    Args:
        project: what is planned.
        workspace: where stages are kept.
        starts: base models, whose tokenizer is taken.
        here: the planned run reads what can be read here, not the full declared size.
    """
    files = input_files(project)
    prepared = workspace.stage(
        "prepare",
        "Prepare: read, drop duplicates, drop what the target holds",
        {
            "files": files,
            "sources": [source.model_dump() for source in project.sources],
            "target": project.target.model_dump(),
            "seed": project.seed,
        },
        lambda: prepare(project, workspace),
        owns=["corpora"],
    )
    tell.tell_prepared(prepared, workspace.watcher)
    selected = workspace.stage(
        "select",
        f"Select towards the target: {project.selection.method}",
        [
            prepared["corpus"],
            prepared["reference"],
            project.selection.model_dump(),
            project.seed,
            selected_sets(project),
            sorted(each.name for each in project.priced),
        ],
        lambda: choose_documents(project, workspace),
        owns=["corpora/free", *(f"corpora/{name}" for name in selected_sets(project))],
    )
    workspace.watcher.note(f"{selected['documents']:,} documents kept. {selected['note']}")
    tokens = workspace.stage(
        "tokenise",
        "Tokenise",
        [
            prepared["corpus"],
            {name: each["corpus"] for name, each in selected["sets"].items()},
            prepared["held_out"],
            project.tokenizer.model_dump(),
            *(each.vocabulary for each in starts[:1]),
        ],
        lambda: tokenise(project, workspace, given=starts[0].tokenizer if starts else None),
        owns=["tokens", "tokenizer.json"],
    )
    tell.tell_tokens(tokens, project.words, workspace.watcher)
    found = mixtures(project, prepared)
    tell.tell_mixtures(found, project.words, workspace.watcher)
    tokens |= {"full": full_tokens(prepared, selected, tokens)}
    if here:
        tokens["full"] |= readable_here(project, tokens, workspace)
    workspace.files.write_json(
        "stages/mixtures.json",
        {
            "fingerprint": fingerprint_of([prepared, selected]),
            "result": {
                "by_source": {
                    mixture.name: shares_by_source(mixture, selected) for mixture in found
                },
                "full": tokens["full"],
            },
        },
    )
    return tokens, found


def readable_here(
    project: Project, tokens: dict[str, Any], workspace: Workspace
) -> dict[str, float]:
    """Sizes of the token sets that the planned run will read where it is made here."""
    found = readable_tokens(tokens, [each.name for each in project.priced])
    less = [name for name, there in found.items() if there < 0.99 * tokens["full"][name]]
    if less:
        sets = ", ".join(project.words.token_set(name) for name in less)
        workspace.watcher.note(
            f"The run is made here, so it is planned on what can be read of {sets}, not on the "
            f"full declared size"
        )
    return found
