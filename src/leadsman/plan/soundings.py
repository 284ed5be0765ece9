"""The design of the small runs, and the options for the big one.

The soundings of a project are a ladder (:func:`leadsman.train.ladder.design.ladder_recipes`): for
every mixture and size one trunk whose branches end at 1/8, 1/4, 1/2 and all of its compute. That
compute is the same for every size, so smaller models see more tokens and the two are told apart. It
follows from the minutes allowed through a committed table of speeds, never from a measurement on
the spot (docs/decisions/0002). So do the sizes: the longest run of the smallest reads twice the 20
tokens a parameter that a plan is likely to end near, that of the largest ``LEAST_RATIO``. A larger
model trained on less tells of its first steps, not of what its size is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from leadsman.errors import BudgetError, InputError
from leadsman.plan.inference import ServingSpec, forward_flops
from leadsman.plan.project import Project, SoundingSpec
from leadsman.plan.starts import Start, open_starts
from leadsman.runs import Mixture, ModelShape, Recipe
from leadsman.train.cost import estimate_ladder_seconds
from leadsman.train.defaults import BATCH_TOKENS, LADDER_WIDTHS, default_recipe, shape_of_width
from leadsman.train.ladder import plan_trunks
from leadsman.train.ladder.design import LEAST_TOKENS, ladder_recipes
from leadsman.train.memory import TrainingSetting, estimate_memory

SEQ_LEN = 256
REFERENCE_WORKERS = 2
HELD_OUT_TOKENS = 60_000
"""Nominal size of the evaluation set, for the time its evaluation takes."""
BRANCHES = (4, 3, 2)
"""Token counts a size: as many as the time allows."""
FINAL_RATIO = 8.25
"""Compute of a demo's final run over that of its largest sounding; 8 are left after rounding."""
MOST_RATIO, LEAST_RATIO, SIZES = 40.0, 3.0, 4
"""Tokens a parameter of the longest run, of the smallest and of the largest of the sizes."""
LEAST_WIDTH = 24
BEYOND_LADDER = 1.25
"""Widest model that is weighed, over the widest of the ladder."""


def sounding_recipes(
    spec: SoundingSpec,
    mixtures: Sequence[Mixture],
    *,
    vocab_size: int,
    data: str,
    seed: int,
    beside: Sequence[Recipe] = (),
) -> list[Recipe]:
    """The soundings of a project.

    Args:
        spec: time allowed (on two cores of the reference machine) and sizes.
        mixtures: what to sound.
        vocab_size: of the tokenizer.
        data: identity of the tokens.
        seed: of weights and order, the same for all: what differs is the design.
        beside: series of given models (:mod:`leadsman.plan.starts`), after the ladder.

    Raises:
        BudgetError: the minutes are too few for the smallest ladder.
    """
    widths = sounding_widths(spec, vocab_size)
    return _ladder(
        widths, spec, mixtures, vocab_size=vocab_size, data=data, seed=seed, beside=beside
    )


def _ladder(
    widths: Sequence[int],
    spec: SoundingSpec,
    mixtures: Sequence[Mixture],
    *,
    vocab_size: int,
    data: str,
    seed: int,
    beside: Sequence[Recipe] = (),
) -> list[Recipe]:
    """A ladder of given widths, with as many token counts a size as the minutes allow."""
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
                widths=widths,
                beside=beside,
            )
        except BudgetError as error:
            refusal = error
    raise BudgetError(f"soundings.minutes: {refusal}")


def sounding_widths(spec: SoundingSpec, vocab_size: int) -> tuple[int, ...]:
    """Widths of the ladder: as the project names them, else by the compute the minutes allow.

    Raises:
        BudgetError: the minutes are too few for any ladder.
    """
    return spec.widths or _widths_for(spec.minutes, len(spec.mixtures), vocab_size)


@lru_cache(maxsize=16)
def _widths_for(minutes: float, mixtures: int, vocab_size: int) -> tuple[int, ...]:
    names = [str(number) for number in range(mixtures)]
    recipes = _ladder(
        LADDER_WIDTHS,
        SoundingSpec(minutes=minutes),
        [Mixture(name, {name: 1.0}) for name in names],
        vocab_size=vocab_size,
        data="",
        seed=0,
    )
    return straddling_widths(max(recipe.flops for recipe in recipes), vocab_size)


def straddling_widths(flops: float, vocab_size: int) -> tuple[int, ...]:
    """Widths at which runs of one compute read from ``MOST_RATIO`` to ``LEAST_RATIO`` tokens a
    parameter, evenly apart in the log.

    >>> straddling_widths(2.6e12, 2048)
    (40, 56, 72, 88)
    """

    def ratio(width: int) -> float:
        shape = shape_of_width(width, vocab_size=vocab_size, seq_len=SEQ_LEN)
        return flops / shape.train_flops_per_token / shape.non_embedding_params

    widths: list[int] = []
    for wanted in np.geomspace(MOST_RATIO, LEAST_RATIO, SIZES):
        width = widths[-1] + 8 if widths else LEAST_WIDTH
        while ratio(width) * ratio(width + 8) > wanted**2:  # the next is nearer in the log
            width += 8
        widths.append(width)
    return tuple(widths)


def looked_at(project: Project) -> tuple[Project, list[Start]]:
    """The base models of a project, and the project with the size of their vocabulary.

    Raises:
        InputError: a model or its tokenizer cannot be used, they differ in tokenizer, or the
            project asks for a vocabulary of another size.
    """
    starts = open_starts(project.starts, seq_len=SEQ_LEN)
    if not starts:
        return project, []
    spec, size = project.tokenizer, starts[0].vocab_size
    if "vocab_size" in spec.model_fields_set and spec.vocab_size != size:
        raise InputError(
            f"is {spec.vocab_size:,}, but a plan with starts takes their tokenizer, and that of "
            f"{starts[0].spec.name!r} has {size:,} entries; leave tokenizer.vocab_size out",
            column="tokenizer.vocab_size",
        )
    taken = spec.model_copy(update={"vocab_size": size})
    return project.model_copy(update={"tokenizer": taken}), starts


def demo_budget(spec: SoundingSpec, *, vocab_size: int) -> float:
    """FLOPs of a run eight times as costly as the largest sounding."""
    mixtures = [Mixture(name, {name: 1.0}) for name in spec.mixtures]
    recipes = sounding_recipes(spec, mixtures, vocab_size=vocab_size, data="", seed=0)
    return FINAL_RATIO * max(recipe.flops for recipe in recipes)


def check_budget(project: Project, starts: Sequence[Start] = ()) -> list[Recipe]:
    """Refuse a project whose budget cannot be met, before any work is done for it.

    Args:
        project: with its vocabulary's size.
        starts: base models that the limits allow.

    Returns:
        What the budget can be spent on.

    Raises:
        BudgetError: too little time for the smallest ladder, or too few FLOPs for one run.
    """
    mixtures = [Mixture(name, {name: 1.0}) for name in project.soundings.mixtures]
    given: dict[str, Any] = {
        "vocab_size": project.tokenizer.vocab_size,
        "data": "",
        "beside": [s for start in starts for s in start.series(mixtures, "", seed=project.seed)],
    }
    sounding_recipes(project.soundings, mixtures, seed=project.seed, **given)
    return final_options(project, mixtures, **given)


def final_options(
    project: Project,
    mixtures: Sequence[Mixture],
    *,
    vocab_size: int,
    data: str,
    budget_flops: float | None = None,
    full: Mapping[str, float] | None = None,
    beside: Sequence[Recipe] = (),
) -> list[Recipe]:
    """Every mixture and size the budget can be spent on, and every series of a given model.

    Sizes run over the ladder and a little beyond. Each recipe spends the whole budget: ``tokens =
    budget / flops_per_token``, less what serving takes where it is paid from the budget.
    ``budget.max_params``, the memory of a device and ``decision.max_epochs`` rule options out.

    Args:
        project: with budget, serving and decision.
        mixtures: to weigh.
        vocab_size: of the tokenizer.
        data: identity of the tokens.
        budget_flops: in place of the project's, where data was bought from it.
        full: tokens of each token set at its full size, for ``decision.max_epochs``.
        beside: series of given models: recipes but for their tokens.

    Raises:
        BudgetError: nothing is left; says what ruled options out.
    """
    ladder = sounding_widths(project.soundings, vocab_size)
    flops = project.budget.total_flops if budget_flops is None else budget_flops
    options = []
    ruled_out: dict[str, str] = {}
    for width in range(min(ladder), int(BEYOND_LADDER * max(ladder)) + 1, 8):
        shape = shape_of_width(width, vocab_size=vocab_size, seq_len=SEQ_LEN)
        tokens, reason = _tokens_of(project, shape, flops)
        if reason is not None:
            ruled_out.setdefault(*reason)
            continue
        for mixture in mixtures:
            source = _too_often(project, mixture, tokens, full or {})
            if source is not None:
                ruled_out.setdefault("max_epochs", source)
                continue
            options.append(default_recipe(shape, mixture, data, tokens, seed=project.seed))
    for series in beside:
        tokens, reason = _tokens_of(project, series.shape, flops)
        source = _too_often(project, series.mixture, tokens, full or {})
        if reason is None and source is None:
            options.append(replace(series, tokens=tokens))
    if options:
        return options
    if len(ruled_out) > 1:
        raise BudgetError("no model size is allowed: " + "; ".join(ruled_out.values()))
    raise BudgetError(next(iter(ruled_out.values())))


def epochs_of(mixture: Mixture, tokens: float, full: Mapping[str, float]) -> dict[str, float]:
    """Passes over each token set of a mixture, of those whose size is known."""
    return {
        name: tokens * weight / full[name]
        for name, weight in mixture.weights.items()
        if weight and name in full
    }


def refusal(project: Project, start: Start) -> str | None:
    """Why the budget or a limit rules a base model out; ``None`` if it can be continued."""
    name = f"the base model {start.spec.name!r}"
    reason = _tokens_of(project, start.shape, project.budget.total_flops, name)[1]
    return None if reason is None else reason[1]


def _too_often(
    project: Project, mixture: Mixture, tokens: int, full: Mapping[str, float]
) -> str | None:
    """Why a mixture has too little text for so many tokens; ``None`` if it has enough."""
    most = project.decision.max_epochs
    if most is None:
        return None
    for name, epochs in epochs_of(mixture, tokens, full).items():
        if epochs > most:
            return (
                f"decision.max_epochs allows {most:g} passes, but {tokens:,} tokens of the "
                f"{mixture.name} mixture are {epochs:.3g} passes over {name!r}"
            )
    return None


def _served_flops(project: Project, shape: ModelShape) -> float:
    """What serving takes from the budget."""
    spec = project.serving
    return spec.tokens * serve_flops(shape, spec) if spec is not None and spec.in_budget else 0.0


def _tokens_of(
    project: Project, shape: ModelShape, budget: float, what: str = "the smallest model tried"
) -> tuple[int, tuple[str, str] | None]:
    """Tokens that the budget pays for, and what rules the size out: a constraint, a sentence."""
    left = budget - _served_flops(project, shape)
    tokens = int(max(left, 0.0) / shape.train_flops_per_token)
    return tokens, _ruled_out(project, shape, tokens, budget, left, what)


def _ruled_out(
    project: Project, shape: ModelShape, tokens: int, budget: float, left: float, what: str
) -> tuple[str, str] | None:
    """Why a size cannot be planned: the constraint and a sentence; ``None`` if it can."""
    params, limit = shape.non_embedding_params, project.budget.max_params
    least = LEAST_TOKENS * shape.train_flops_per_token
    name = f"{what} has {params:,} parameters and needs"
    if limit is not None and params > limit:
        return "max_params", (
            f"at most {limit:,} parameters may be served, but {what} has {params:,}"
        )
    if tokens < LEAST_TOKENS:
        after = "" if left == budget else f" ({left:.3g} after serving)"
        return "budget", (
            f"a budget of {budget:.3g} FLOPs{after} allows no run: {name} {least:.3g} FLOPs"
        )
    memory = memory_limit(project)
    if memory is not None:
        need = estimate_memory(memory_setting_of(shape)).total
        if need > memory:
            return "memory", (
                f"a device has {memory / 1e9:.3g} GB of memory, but {name} {need / 1e9:.3g} GB"
            )
    return None


def reference_seconds(recipes: Sequence[Recipe], workers: int) -> float:
    """What recipes would take on ``workers`` threads of the reference machine."""
    jobs = plan_trunks(recipes, sources={}, held_out={}, ledger="", work="")
    return estimate_ladder_seconds(jobs, workers=workers, held_out_tokens=HELD_OUT_TOKENS)


def serve_flops(shape: ModelShape, spec: ServingSpec) -> float:
    """Forward FLOPs a served token, prompts and outputs together."""
    return forward_flops(shape, (spec.prompt_tokens + spec.output_tokens) / 2)


def memory_limit(project: Project) -> float | None:
    """Bytes of one device: as given, else of the named hardware."""
    if project.decision.memory_gb is not None:
        return 1e9 * project.decision.memory_gb
    hardware = project.budget.on_hardware()
    return None if hardware is None else hardware.memory_bytes


def memory_setting_of(shape: ModelShape) -> TrainingSetting:
    """What a default recipe of a shape needs: one pass holds the whole batch."""
    sequences = max(1, BATCH_TOKENS // shape.seq_len)
    return TrainingSetting(shape=shape, sequences=sequences, precision="bf16-mixed")


def further_soundings(done: Sequence[Recipe], ladder: Sequence[Recipe]) -> list[Recipe]:
    """Small runs that could be made next: what is left of the ladder, and each series doubled.

    A series (mixture and shape) whose ladder is done can go on to twice its longest run.
    """
    made = {recipe.id for recipe in done}
    left = [recipe for recipe in ladder if recipe.id not in made]
    longest: dict[str, Recipe] = {}
    for recipe in ladder:
        before = longest.get(recipe.trunk_id)
        if before is None or recipe.tokens > before.tokens:
            longest[recipe.trunk_id] = recipe
    doubled = [replace(recipe, tokens=2 * recipe.tokens) for recipe in longest.values()]
    return left + [recipe for recipe in doubled if recipe.id not in made]
