"""What can be told to be wrong with a project before anything is read or trained."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leadsman.errors import InputError, LeadsmanError, MethodError
from leadsman.plan.data import HELD_OUT, new_selector
from leadsman.plan.project import Project
from leadsman.plan.settings.axes import SELECTED
from leadsman.plan.soundings import BEYOND_LADDER, SEQ_LEN
from leadsman.runs import Mixture, Recipe
from leadsman.train.build import chosen_optimizer, run_methods
from leadsman.train.defaults import LADDER_WIDTHS, default_recipe, shape_of_width
from leadsman.train.ladder.design import LEAST_TOKENS

MANY_TOKENS = 400
"""Tokens a parameter of the widest model weighed, from which a wider one is probably better."""


def check_project(project: Project) -> list[str]:
    """Refuse a project that names what is not there; return what a person should know of it.

    Raises:
        InputError: a file is not there, or a method or an option is not known.
        MethodError: an option is out of bounds.
    """
    check_files(project)
    new_selector(project.selection)
    check_settings(project)
    return _licence_notes(project)


def check_files(project: Project) -> None:
    """Every local path is there, no two are the same, and no name is taken.

    Raises:
        InputError: one is not.
    """
    for each in project.sources:
        if each.name in (SELECTED, HELD_OUT):
            raise InputError(
                f"a source cannot be called {each.name!r}, which is a name of plan's own text",
                column="sources",
            )
    named: dict[Path, str] = {}
    paths = [(f"source {each.name!r}", each.path) for each in project.sources]
    for what, path in [*paths, ("the target", project.target.path)]:
        if "://" in path:
            continue
        if not Path(path).exists():
            raise InputError(f"there is no such file or directory ({what})", file=path)
        other = named.setdefault(Path(path).resolve(), what)
        if other != what:
            raise InputError(f"{other} and {what} are the same text; leave one out", file=path)


def check_settings(project: Project) -> None:
    """The optimizers and training methods to be tried are known, and their options allowed.

    Raises:
        InputError: a name or an option is not known, or a batch is no number of whole sequences.
        MethodError: an option is out of bounds.
    """
    vary = project.vary
    shape = shape_of_width(
        (project.soundings.widths or LADDER_WIDTHS)[0],
        vocab_size=project.tokenizer.vocab_size,
        seq_len=SEQ_LEN,
    )
    plain = Mixture("natural", {"natural": 1.0})
    reference = default_recipe(shape, plain, "", LEAST_TOKENS, seed=project.seed)
    for each in vary.batch_tokens:
        if each % SEQ_LEN:
            raise InputError(
                f"{each} is no number of whole sequences of {SEQ_LEN} tokens",
                column="vary.batch_tokens",
            )
    try:
        for name in vary.optimizer:
            chosen_optimizer(replace(reference, optimizer=name))
        for methods in vary.methods:
            run_methods(replace(reference, methods=methods))
    except MethodError as error:
        raise MethodError(f"vary: {error}") from error
    except LeadsmanError as error:
        raise InputError(f"vary: {error}") from error


def _licence_notes(project: Project) -> list[str]:
    """Tags that exclude nothing, and sources that no tag could exclude."""
    excluded = project.decision.exclude_licences
    tags = {each.licence for each in project.sources if each.licence}
    notes = []
    for tag in excluded:
        if tag not in tags:
            near = difflib.get_close_matches(tag, sorted(tags), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            notes.append(f"decision.exclude_licences: no source has the tag {tag}{hint}")
    untagged = [each.name for each in project.sources if each.licence is None]
    if excluded and untagged:
        notes.append(f"no licence is given for {', '.join(untagged)}, so it is not excluded")
    return notes


def size_notes(project: Project, options: Sequence[Recipe]) -> list[str]:
    """Whether even the widest model weighed is far too small for the budget."""
    fresh = [each for each in options if not each.start] or options
    widest = max(fresh, key=lambda each: each.shape.non_embedding_params)
    params = widest.shape.non_embedding_params
    limit = project.budget.max_params
    if widest.tokens < MANY_TOKENS * params or (limit is not None and params > 0.5 * limit):
        return []
    return [
        f"the largest model weighed has {params:,} parameters and would see "
        f"{widest.tokens / params:.2g} tokens a parameter, so a larger one is probably better; "
        f"soundings.widths sets the sizes (up to {BEYOND_LADDER:g} times the widest)"
    ]
