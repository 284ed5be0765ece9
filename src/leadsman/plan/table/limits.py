"""The limits of a plan from a table as constraints: budget with serving, size, memory, passes."""

from __future__ import annotations

import numpy as np
import polars as pl

from leadsman.laws.table import column
from leadsman.plan.decision.constraints import Constraint
from leadsman.plan.decision.repetition import Repetition
from leadsman.plan.decision.space import Dimension, Floats
from leadsman.plan.speed import Speed, dearer, peak_speed
from leadsman.plan.table.spec import MemorySpec, TableSpec
from leadsman.train.defaults import shape_of_params
from leadsman.train.memory import TrainingSetting, estimate_memory

MEMORY_KNOTS = 9


def training_flops(points: pl.DataFrame) -> Floats:
    """6ND: what a table knows of compute."""
    return np.asarray(6.0 * points["params"].to_numpy() * points["tokens"].to_numpy())


def constraints_of(spec: TableSpec, *, flops: float | None = None) -> list[Constraint]:
    """The limits of a specification; ``flops`` in place of its budget's, if data was paid."""
    serving = spec.serving
    served = serving.tokens if serving is not None and serving.in_budget else 0.0

    def cost(points: pl.DataFrame) -> Floats:
        training = training_flops(points) * dearer(spec.budget, points)
        return np.asarray(training + 2.0 * points["params"].to_numpy() * served)

    limit = spec.budget.total_flops if flops is None else flops
    found = [Constraint("budget", limit, cost, "FLOPs")]
    if spec.budget.max_params is not None:
        found.append(
            Constraint(
                "max_params", spec.budget.max_params, lambda p: p["params"].to_numpy(), "parameters"
            )
        )
    if spec.memory is not None:
        found.append(_memory(spec.memory, spec.space["params"]))
    if spec.max_epochs is not None and spec.unique_tokens is not None:
        there = spec.unique_tokens

        def epochs(points: pl.DataFrame) -> Floats:
            return np.asarray(points["tokens"].to_numpy() / (there * _kept(points)))

        found.append(Constraint("max_epochs", spec.max_epochs, epochs, "epochs"))
    return found


def timed(spec: TableSpec, runs: pl.DataFrame) -> TableSpec:
    """The same with the speed of each precision that may be chosen: as the runs tell it (column
    ``tokens_per_second``, at sizes that ran in both), else by the table of accelerators.
    """
    names = spec.space["precision"].choices or () if "precision" in spec.space else ()
    budget, reference = spec.budget, spec.budget.precision
    hardware = budget.on_hardware()
    accelerator = None if hardware is None else hardware.accelerator
    measured = _speeds_in(runs, reference)
    speeds = {
        name: Speed(measured[name], "ledger")
        if name in measured
        else peak_speed(name, reference, accelerator)
        for name in names
        if name != reference
    }
    return spec.model_copy(update={"budget": budget.timed(speeds)})


def _speeds_in(runs: pl.DataFrame, reference: str) -> dict[str, float]:
    """Tokens a second over those of the reference precision, medians over sizes."""
    wanted = ("precision", "params", "tokens_per_second")
    if not set(wanted) <= set(runs.columns):
        return {}
    sides = (
        runs.select(wanted)
        .drop_nulls()
        .filter(pl.col("tokens_per_second") > 0)
        .group_by("precision", "params")
        .agg(pl.col("tokens_per_second").median())
    )
    usual = sides.filter(pl.col("precision") == reference).drop("precision")
    both = sides.join(usual, on="params", suffix="_usual")
    ratio = pl.col("tokens_per_second") / pl.col("tokens_per_second_usual")
    return dict(both.group_by("precision").agg(ratio.median()).iter_rows())


def repetition_of(spec: TableSpec, runs: pl.DataFrame) -> Repetition | None:
    """What repeated text is worth, by the sources drawn or by ``unique_tokens``.

    ``None`` where neither says how much text there is, or where the runs tell it themselves
    (column ``unique_tokens``). Runs are taken to have read of the same text.
    """
    drawn = [name for name in spec.sources if f"mix.{name}" in spec.space]
    there = spec.unique_tokens
    if "unique_tokens" in runs.columns or not (drawn or there):
        return None

    def of_sources(points: pl.DataFrame) -> tuple[Floats, Floats]:
        shares = np.column_stack([column(points, f"mix.{name}", positive=False) for name in drawn])
        sizes = [spec.sources[name].tokens for name in drawn]
        return shares, np.tile(sizes, (len(points), 1))

    def of_all(points: pl.DataFrame) -> tuple[Floats, Floats]:
        assert there is not None
        sizes = there * _kept(points) * np.ones(len(points))
        return np.ones((len(points), 1)), sizes[:, None]

    return Repetition(of_sources if drawn else of_all)


def _kept(points: pl.DataFrame) -> Floats | float:
    """Share of the text that a selection keeps."""
    return points["keep"].to_numpy() if "keep" in points.columns else 1.0


def _memory(spec: MemorySpec, params: Dimension) -> Constraint:
    """Memory over parameters, exact at shapes of nine sizes and smooth between them."""
    low = params.low or params.fixed or 1.0
    high = params.high or params.fixed or low
    sizes = np.geomspace(low, max(high, low * 1.001), MEMORY_KNOTS)
    shapes = [shape_of_params(n, vocab_size=spec.vocab_size, seq_len=spec.seq_len) for n in sizes]
    fields = spec.model_dump(exclude={"limit_gb", "vocab_size", "seq_len"})
    needed = [estimate_memory(TrainingSetting(shape=shape, **fields)).total for shape in shapes]
    known = np.log([shape.non_embedding_params for shape in shapes])

    def use(points: pl.DataFrame) -> Floats:
        logs = np.log(points["params"].to_numpy())
        return np.asarray(np.exp(np.interp(logs, known, np.log(needed))))

    return Constraint("memory", 1e9 * spec.limit_gb, use, "bytes")
