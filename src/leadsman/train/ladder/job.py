"""What a worker is given: recipes that share a trunk, alone or stacked with others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leadsman.errors import InputError
from leadsman.humanize import count
from leadsman.runs import Recipe
from leadsman.train.base import run_method_classes
from leadsman.train.ladder.stopping import StopRule
from leadsman.train.schedule import shared_steps

COMPILE_FROM_FLOPS = 1e12
"""Compute of one job that repays compilation."""
COMPILE_SHAPE_FROM_FLOPS = 4e12
"""Compute of all jobs of a shape that repays it in each of a few workers."""


@dataclass(frozen=True, kw_only=True)
class TrunkJob:
    """Recipes that share a trunk, and where their data and results live. Picklable.

    Attributes:
        recipes: differ in ``tokens`` only.
        beside: the recipes of further trunks, trained stacked with the first: of the same shape,
            tokens, batches and precision.
        sources: directory of the token set of each source.
        held_out: directory of the token set of each evaluation set.
        ledger: where runs are written.
        work: directory for checkpoints and progress.
        role: written into each run (``proxy``, ``final``, ``naive``).
        start: directory of the model that recipes with ``start`` continue from.
        stop_rule: says which runs are hopeless; none are by default.
        models: directory in which each finished model is saved (Hugging Face format, one folder a
            run); nothing is saved if empty.
        threads: torch threads; results are bitwise the same for the same number.
        device: ``auto`` takes CUDA when present.
        compiled: use ``torch.compile``; by default when the trunk is long enough to repay it, or
            :func:`plan_trunks` finds enough trunks of the shape.
        checkpoint_seconds: time between checkpoints.
        keep_trunk: leave the trunk as it stood before its last decay, for longer runs to go on
            from.
    """

    recipes: tuple[Recipe, ...]
    beside: tuple[tuple[Recipe, ...], ...] = ()
    sources: Mapping[str, str]
    held_out: Mapping[str, str]
    ledger: str
    work: str
    role: str = "proxy"
    start: str = ""
    stop_rule: StopRule | None = None
    models: str = ""
    threads: int = 1
    device: str = "auto"
    compiled: bool | None = None
    checkpoint_seconds: float = 60.0
    keep_trunk: bool = False

    def __post_init__(self) -> None:
        for trunk in self.trunks:
            if len({recipe.trunk_id for recipe in trunk}) != 1:
                raise InputError(
                    "recipes of one trunk must differ in tokens only", column="recipes"
                )
            if [_marks(recipe) for recipe in trunk] != [_marks(recipe) for recipe in self.recipes]:
                raise InputError(
                    "stacked trunks must end and begin their decays together", column="recipes"
                )

    @property
    def trunks(self) -> tuple[tuple[Recipe, ...], ...]:
        """The recipes of every trunk."""
        return (self.recipes, *self.beside)

    @property
    def all_recipes(self) -> list[Recipe]:
        """Every recipe, trunk after trunk."""
        return [recipe for trunk in self.trunks for recipe in trunk]

    @property
    def rungs(self) -> list[tuple[Recipe, ...]]:
        """Recipes that end together, one of each trunk; in order of tokens."""
        rungs = zip(*self.trunks, strict=True)
        return sorted(rungs, key=lambda rung: rung[0].tokens)

    @property
    def trunk_id(self) -> str:
        """Names the job: the trunk id, or a hash of several."""
        ids = [trunk[0].trunk_id for trunk in self.trunks]
        return ids[0] if len(ids) == 1 else hashlib.sha256("".join(ids).encode()).hexdigest()[:16]

    @property
    def tokens(self) -> int:
        """Tokens trained on in all: the shared part once, and every decay; of every trunk."""
        return len(self.trunks) * trunk_tokens(self.recipes)

    @property
    def flops(self) -> float:
        """Training compute of the trunks and their branches."""
        return self.tokens * self.recipes[0].shape.train_flops_per_token

    @property
    def use_compile(self) -> bool:
        """Whether this job compiles; depends on the recipes alone, so a restart does the same."""
        return self.flops >= COMPILE_FROM_FLOPS if self.compiled is None else self.compiled

    @property
    def label(self) -> str:
        """Mixture and size, for a person."""
        recipe = self.recipes[0]
        size = count(recipe.shape.non_embedding_params)
        if self.beside:
            return f"{len(self.trunks)} stacked {size}"
        return f"{recipe.mixture.name} {size}"


def trunk_tokens(recipes: Sequence[Recipe]) -> int:
    """Tokens of a trunk and its branches, trained in turn.

    A rung's part of the trunk begins where the rung before it left.
    """
    total = reached = 0
    for recipe in sorted(recipes, key=lambda recipe: recipe.tokens):
        shared = recipe.batches.tokens_at(shared_steps(recipe))
        total += max(shared - reached, 0) + recipe.trained_tokens - shared
        reached = max(shared, reached)
    return total


def _marks(recipe: Recipe) -> tuple[int, int]:
    """Tokens, and steps before the decay."""
    return recipe.tokens, shared_steps(recipe)


def _branches(recipe: Recipe) -> bool:
    """Whether runs of other lengths may share this one's beginning."""
    return not any(method.knows_length for method in run_method_classes(recipe))


def plan_trunks(
    recipes: Sequence[Recipe],
    *,
    sources: Mapping[str, str],
    held_out: Mapping[str, str],
    ledger: str,
    work: str,
    starts: Mapping[str, str] | None = None,
    **options: Any,
) -> list[TrunkJob]:
    """Group recipes into trunks, ordered so that two workers rarely compile the same shape.

    Args:
        recipes: any number, in any order; repeated recipes are run once.
        sources, held_out, ledger, work: see :class:`TrunkJob`.
        starts: directory of the weights that recipes continue from, by ``Recipe.start``.
        options: further fields of :class:`TrunkJob`.

    Returns:
        Jobs, shapes taking turns, costly shapes first.
    """
    by_trunk: dict[str, dict[str, Recipe]] = {}
    for recipe in recipes:
        name = recipe.trunk_id if _branches(recipe) else recipe.id
        by_trunk.setdefault(name, {})[recipe.id] = recipe
    by_shape: dict[Any, list[TrunkJob]] = {}
    for group in by_trunk.values():
        start = (starts or {}).get(next(iter(group.values())).start)
        job = TrunkJob(
            recipes=tuple(sorted(group.values(), key=lambda recipe: recipe.tokens)),
            sources=dict(sources),
            held_out=dict(held_out),
            ledger=ledger,
            work=work,
            **options | ({"start": start} if start else {}),
        )
        by_shape.setdefault(job.recipes[0].shape, []).append(job)
    for shape, jobs in by_shape.items():
        if sum(job.flops for job in jobs) >= COMPILE_SHAPE_FROM_FLOPS:
            by_shape[shape] = [
                replace(job, compiled=True) if job.compiled is None else job for job in jobs
            ]
    columns = sorted(by_shape.values(), key=lambda jobs: -max(job.flops for job in jobs))
    longest = max((len(jobs) for jobs in columns), default=0)
    return [jobs[turn] for turn in range(longest) for jobs in columns if turn < len(jobs)]
