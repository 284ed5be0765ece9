"""Choose the layout by measuring, and say why.

The shape that takes most of the design's compute is trained for a few seconds in each layout, on
the design's own data, compiled if the design will be. Compiled graphs stay in the disk cache, so
the compilation is not lost. On a processor, stacking is compiled and measured only if it is
promising eagerly: its graph is of no use to the other layouts. The choice is kept beside the
checkpoints, so that a command that is started again goes on in the same layout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from leadsman.engine import LocalEngine
from leadsman.files import Directory
from leadsman.runs import Recipe
from leadsman.train.layout.layouts import Layout, largest_stack

MEASURE_SECONDS = 3.0
MEASURE_FROM_SECONDS = 240.0
"""Shorter designs are not worth measuring for: it takes half a minute."""
PROMISING = 1.2
"""Eager gain of stacking over one run, both on one thread, from which it is compiled."""
BETTER = 1.05
"""Gain over processes from which another layout is taken."""


@dataclass(frozen=True)
class Choice:
    """The layout and why.

    Attributes:
        layout: chosen.
        tokens_per_second: measured, by layout; empty if nothing was measured.
        reason: for a person.
    """

    layout: Layout
    tokens_per_second: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Trial:
    """One thing to measure. Picklable.

    Attributes:
        recipe: what is trained.
        sources: directory of the token set of each source.
        device: ``cpu`` or ``cuda``.
        threads: of torch.
        stack: replicas side by side.
        compiled: whether through ``torch.compile``.
    """

    recipe: Recipe
    sources: Mapping[str, str]
    device: str
    threads: int = 1
    stack: int = 1
    compiled: bool = False


def choose_layout(
    recipes: Sequence[Recipe],
    sources: Mapping[str, str],
    *,
    work: str,
    seconds: float,
    compiled: bool,
    device: str = "cpu",
    cores: int = 0,
) -> Choice:
    """The fastest layout for a design on this machine.

    Args:
        recipes: the design.
        sources: directory of the token set of each source.
        work: directory in which the choice is kept.
        seconds: what the design takes by the estimate.
        compiled: whether it will be compiled.
        device: ``cpu`` or ``cuda``.
        cores: to use; 0 is all.
    """
    cores = LocalEngine(cores).workers
    key = _key(recipes, device, cores)
    kept = _kept(work, key)
    if kept is not None:
        return kept
    processes = Layout("processes", workers=1 if device == "cuda" else cores)
    if len(recipes) == 1:
        only = Layout("threads", workers=1, threads=cores)
        return Choice(only, {}, "there is one run, so it gets all cores")
    if seconds < MEASURE_FROM_SECONDS:
        return Choice(
            processes,
            {},
            f"not measured: under {MEASURE_FROM_SECONDS / 60:g} minutes of work are not worth it",
        )
    choice = _measured(recipes, sources, processes, device=device, compiled=compiled)
    plain = {"key": key} | asdict(choice)
    Directory(work).write_json("layout.json", plain)
    return choice


def _measured(
    recipes: Sequence[Recipe],
    sources: Mapping[str, str],
    processes: Layout,
    *,
    device: str,
    compiled: bool,
) -> Choice:
    flops: dict[Any, float] = {}
    for recipe in recipes:
        flops[recipe.shape] = flops.get(recipe.shape, 0.0) + recipe.flops
    shape = max(flops, key=lambda shape: flops[shape])
    same = [recipe for recipe in recipes if recipe.shape == shape]
    trial = Trial(same[0], sources, device, compiled=compiled)
    cores = processes.workers
    alone = [rate for _, rate in LocalEngine(cores).map(measure, [trial] * cores)]
    rates = {processes: sum(alone)}
    reasons = []
    if device == "cpu" and cores > 1:
        rates[Layout("threads", workers=1, threads=cores)] = measure(replace(trial, threads=cores))
    stack = largest_stack(same, device, workers=cores)
    if stack < 2:
        reasons.append("stacking would not fit the memory")
    else:
        layout = Layout("stacked", workers=cores, stack=stack)
        gain, rate = _stacked_rate(replace(trial, stack=stack), alone[0], device)
        if rate:
            rates[layout] = rate * cores
        else:
            reasons.append(f"stacking gains {gain:.2f}x on one thread, too little to compile it")
    best = max(rates, key=lambda layout: rates[layout])
    if rates[best] < BETTER * rates[processes]:
        best = processes
    told = "; ".join(f"{layout}: {rate:,.0f} tokens/s" for layout, rate in rates.items())
    size = f"{shape.non_embedding_params:,} parameters"
    reason = ". ".join([f"measured on the shape of {size}: {told}", *reasons])
    return Choice(best, {str(layout): rate for layout, rate in rates.items()}, reason)


def _stacked_rate(trial: Trial, alone: float, device: str) -> tuple[float, float]:
    """Gain over one run and tokens a second, zero where it is not worth compiling."""
    if not trial.compiled or device == "cuda":
        rate = measure(trial)
        return rate / alone, rate
    eager = replace(trial, compiled=False)
    gain = measure(eager) / measure(replace(eager, stack=1))
    return gain, measure(trial) if gain >= PROMISING else 0.0


def measure(trial: Trial) -> float:
    """Tokens a second of a trial, all its replicas together; the first step is not counted."""
    import torch

    from leadsman.train.ladder.replicas import OneReplica, Replicas
    from leadsman.train.loop import Trainer
    from leadsman.train.stacked import StackedTrainer
    from leadsman.train.tokens import TokenSet

    before = torch.get_num_threads()
    torch.set_num_threads(trial.threads)
    try:
        sources = {name: TokenSet(path) for name, path in trial.sources.items()}
        recipe = replace(trial.recipe, methods={}, optimizer="adamw", start="")
        rung = [replace(recipe, seed=seed) for seed in range(trial.stack)]
        place: dict[str, Any] = {"device": trial.device, "compiled": trial.compiled}
        trainer: Replicas
        if trial.stack > 1:
            trainer = StackedTrainer(rung, sources, **place)
        else:
            trainer = OneReplica(Trainer(recipe, sources, **place))
        _advance(trainer, rung, 1)
        began = time.perf_counter()
        while time.perf_counter() - began < MEASURE_SECONDS and trainer.step < recipe.steps:
            _advance(trainer, rung, trainer.step + 1)
        seconds = max(time.perf_counter() - began, 1e-9)
        batches = recipe.batches
        tokens = batches.tokens_at(trainer.step) - batches.tokens_at(1)
        return trial.stack * tokens / seconds
    finally:
        torch.set_num_threads(before)


def _advance(trainer: Any, rung: Sequence[Recipe], stop: int) -> None:
    trainer.advance(rung, stop, after_step=lambda: None)


def _key(recipes: Sequence[Recipe], device: str, cores: int) -> str:
    from leadsman.train.provenance import device_name, versions

    facts = [sorted(recipe.id for recipe in recipes), device_name(device), cores, versions()]
    return json.dumps(facts, sort_keys=True)


def _kept(work: str, key: str) -> Choice | None:
    directory = Directory(work)
    if not directory.exists("layout.json"):
        return None
    plain = json.loads(directory.read("layout.json"))
    if plain.pop("key", "") != key:
        return None
    return Choice(Layout(**plain["layout"]), plain["tokens_per_second"], plain["reason"])
