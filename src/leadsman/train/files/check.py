"""What runs of a design would be refused for at their start, told by a dry run."""

from __future__ import annotations

from leadsman.errors import InputError
from leadsman.train.device import check_memory, resolve_device
from leadsman.train.feed.source import checked_source
from leadsman.train.files.load import Design
from leadsman.train.ladder import TrunkJob
from leadsman.train.tokens import TokenSet


def check_design(design: Design) -> None:
    """Check device, memory and sources of every run, without training.

    Raises:
        InputError: a run would fail; tells how many would, and why the first.
    """
    device = resolve_device(design.fields["device"])
    sources = {name: TokenSet(path) for name, path in design.fields["sources"].items()}
    problems: list[tuple[int, InputError]] = []
    for job in design.jobs:
        try:
            _check(job, device, sources)
        except InputError as error:
            problems.append((len(job.all_recipes), error))
    if problems:
        count, first = sum(size for size, _ in problems), problems[0][1]
        raise InputError(f"{count} of {len(design.recipes)} runs would fail: {first}") from first


def _check(job: TrunkJob, device: str, sources: dict[str, TokenSet]) -> None:
    recipe = job.recipes[0]
    check_memory(recipe, device, branches=len(job.recipes) > 1)
    for name, weight in recipe.mixture.weights.items():
        if weight > 0:
            checked_source(sources, name, recipe.mixture, vocab_size=recipe.shape.vocab_size)
