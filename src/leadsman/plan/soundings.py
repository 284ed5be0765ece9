"""The design of the small runs, and the options for the big one.

The soundings of a project are a ladder (:func:`leadsman.train.cost.ladder_recipes`): for every
mixture and size one trunk whose branches end at 1/8, 1/4, 1/2 and all of its compute. That compute
is the same for every size, so smaller models see more tokens and the two are told apart. It
follows from the minutes allowed through a committed table of speeds, never from a measurement on
the spot (docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Sequence

from leadsman.errors import BudgetError
from leadsman.plan.project import Project, SoundingSpec
from leadsman.runs import Mixture, Recipe
from leadsman.train.cost import LEAST_TOKENS, estimate_ladder_seconds, ladder_recipes
from leadsman.train.defaults import default_recipe, shape_of_width
from leadsman.train.ladder import plan_trunks

SEQ_LEN = 256
REFERENCE_WORKERS = 2
HELD_OUT_TOKENS = 60_000
"""Nominal size of the evaluation set, for the time its evaluation takes."""
BRANCHES = (4, 3, 2)
"""Token counts a size: as many as the time allows."""
FINAL_RATIO = 8.25
"""Compute of a demo's final run over that of its largest sounding; 8 are left after rounding."""
BEYOND_LADDER = 1.25
"""Widest model that is weighed, over the widest of the ladder."""


def sounding_recipes(
    spec: SoundingSpec, mixtures: Sequence[Mixture], *, vocab_size: int, data: str, seed: int
) -> list[Recipe]:
    """The soundings of a project.

    Args:
        spec: time allowed (on two cores of the reference machine) and sizes.
        mixtures: what to sound.
        vocab_size: of the tokenizer.
        data: identity of the tokens.
        seed: of weights and order, the same for all: what differs is the design.

    Raises:
        BudgetError: the minutes are too few for the smallest ladder.
    """
    for branches in BRANCHES:
        try:
            return ladder_recipes(
                mixtures,
                data,
                minutes=spec.minutes,
                vocab_size=vocab_size,
                seq_len=SEQ_LEN,
                seed=seed,
                workers=REFERENCE_WORKERS,
                held_out_tokens=HELD_OUT_TOKENS,
                branches=branches,
                widths=spec.widths,
            )
        except BudgetError as error:
            refusal = error
    raise refusal


def demo_budget(spec: SoundingSpec, *, vocab_size: int) -> float:
    """FLOPs of a run eight times as costly as the largest sounding."""
    mixtures = [Mixture(name, {name: 1.0}) for name in spec.mixtures]
    recipes = sounding_recipes(spec, mixtures, vocab_size=vocab_size, data="", seed=0)
    return FINAL_RATIO * max(recipe.flops for recipe in recipes)


def check_budget(project: Project) -> None:
    """Refuse a project whose budget cannot be met, before any work is done for it.

    Raises:
        BudgetError: too little time for the smallest ladder, or too few FLOPs for one run.
    """
    mixtures = [Mixture(name, {name: 1.0}) for name in project.soundings.mixtures]
    vocab_size = project.tokenizer.vocab_size
    sounding_recipes(project.soundings, mixtures, vocab_size=vocab_size, data="", seed=project.seed)
    final_options(project, mixtures, vocab_size=vocab_size, data="")


def final_options(
    project: Project, mixtures: Sequence[Mixture], *, vocab_size: int, data: str
) -> list[Recipe]:
    """Every mixture and size the budget can be spent on.

    Sizes run over the ladder and a little beyond; ``budget.max_params`` cuts them off. Each recipe
    spends the whole budget: ``tokens = budget / flops_per_token``.

    Raises:
        BudgetError: the budget does not pay for one run of the smallest model.
    """
    budget = project.budget.total_flops
    limit = project.budget.max_params or float("inf")
    options = []
    ladder = project.soundings.widths
    for width in range(min(ladder), int(BEYOND_LADDER * max(ladder)) + 1, 8):
        shape = shape_of_width(width, vocab_size=vocab_size, seq_len=SEQ_LEN)
        tokens = int(budget / shape.train_flops_per_token)
        if tokens < LEAST_TOKENS or shape.non_embedding_params > limit:
            continue
        options += [
            default_recipe(shape, mixture, data, tokens, seed=project.seed) for mixture in mixtures
        ]
    if not options:
        smallest = shape_of_width(min(ladder), vocab_size=vocab_size, seq_len=SEQ_LEN)
        least = LEAST_TOKENS * smallest.train_flops_per_token
        raise BudgetError(
            f"a budget of {budget:.3g} FLOPs"
            + (f" and at most {limit:,} parameters" if project.budget.max_params else "")
            + f" allow no run: the smallest model has {smallest.non_embedding_params:,} "
            f"parameters and needs {least:.3g} FLOPs"
        )
    return options


def reference_seconds(recipes: Sequence[Recipe], workers: int) -> float:
    """What recipes would take on ``workers`` threads of the reference machine."""
    jobs = plan_trunks(recipes, sources={}, held_out={}, ledger="", work="")
    return estimate_ladder_seconds(jobs, workers=workers, held_out_tokens=HELD_OUT_TOKENS)
