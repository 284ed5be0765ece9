"""The design of the small runs: which sizes, tokens and mixtures, in how much time.

For every mixture and every size on the ladder there is one trunk; its branches end at 1/8, 1/4,
1/2 and all of the trunk's compute, which is the same for every trunk. So the longest run of each
size costs the same, smaller models see more tokens, and parameters and tokens are told apart.

The compute of a trunk follows from the minutes allowed, through the committed table of speeds
behind :func:`leadsman.train.estimate_seconds`; it is never measured on the spot, so that the same
project gives the same soundings on a busy day (docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Sequence

from leadsman.errors import BudgetError
from leadsman.runs import Mixture, ModelShape, Recipe
from leadsman.train.defaults import default_recipe, ladder_shapes
from leadsman.train.speed import estimate_seconds

SEQ_LEN = 256
REFERENCE_CORES = 2
BRANCHES = (0.125, 0.25, 0.5, 1.0)
FINAL_RATIO = 8.25
"""Compute of a demo's final run over that of its largest sounding (8 after rounding to steps)."""
MIN_STEPS = 40


def sounding_recipes(
    shapes: Sequence[ModelShape],
    mixtures: Sequence[Mixture],
    *,
    top_flops: float,
    data: str,
    seed: int,
) -> list[Recipe]:
    """One recipe a branch, mixture and size.

    Args:
        shapes: the ladder.
        mixtures: what to sound.
        top_flops: compute of the longest run of each size.
        data: identity of the tokens.
        seed: of weights and order, the same for all: what differs is the design.

    Raises:
        BudgetError: ``top_flops`` is less than the shortest branch of the largest model needs.
    """
    recipes = []
    for shape in shapes:
        for mixture in mixtures:
            for share in BRANCHES:
                tokens = int(share * top_flops / shape.train_flops_per_token)
                recipes.append(
                    default_recipe(shape, mixture, data=data, tokens=tokens, seed=seed)
                )
    shortest = min(recipes, key=lambda recipe: recipe.steps)
    if shortest.steps < MIN_STEPS:
        needed = top_flops * MIN_STEPS / max(shortest.steps, 1)
        raise BudgetError(
            f"{top_flops:.3g} FLOPs a sounding give the model of "
            f"{shortest.shape.non_embedding_params} parameters {shortest.steps} steps; it needs "
            f"{MIN_STEPS}: allow {needed:.3g} FLOPs or more a sounding"
        )
    return recipes
