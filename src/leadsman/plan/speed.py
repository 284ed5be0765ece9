"""How fast each precision trains, beside the one a budget is counted in.

Hours and money buy FLOPs at a speed, and float32 is not as fast as bf16. The speed of a precision
is measured where the ledger holds runs of both: tokens a second of runs that differ in precision
alone but for their text, medians over each side, then over such pairs of sides. Else it is the
ratio of the peaks in the table of accelerators, where hardware is named; else not known, and taken
to be the same.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.plan.hardware import Accelerator
from leadsman.runs import Mixture, Run

ANY = Mixture("any", {"any": 1.0})


@dataclass(frozen=True)
class Speed:
    """Of a precision.

    Attributes:
        ratio: training FLOP/s over those of the reference precision.
        source: where it comes from.
    """

    ratio: float = 1.0
    source: Literal["ledger", "table", "unknown"] = "unknown"


def precision_speeds(
    precisions: Iterable[str],
    reference: str,
    runs: Iterable[Run],
    accelerator: Accelerator | None = None,
) -> dict[str, Speed]:
    """The speed of each precision.

    Args:
        precisions: to tell of.
        reference: the precision whose speed is one.
        runs: finished runs, that may tell their tokens a second.
        accelerator: of the planned run, if it is named.
    """
    measured = measured_speeds(runs, reference)
    found = {}
    for name in precisions:
        if name == reference:
            found[name] = Speed(1.0, "ledger")
        elif name in measured:
            found[name] = Speed(measured[name], "ledger")
        else:
            found[name] = peak_speed(name, reference, accelerator)
    return found


def peak_speed(precision: str, reference: str, accelerator: Accelerator | None) -> Speed:
    """By the table of accelerators, where it lists both."""
    peaks = {} if accelerator is None else accelerator.peak_tflops
    if precision in peaks and reference in peaks:
        return Speed(peaks[precision] / peaks[reference], "table")
    return Speed()


def measured_speeds(runs: Iterable[Run], reference: str) -> dict[str, float]:
    """Tokens a second over those of the reference precision, by precision.

    Runs on small machines disturb each other by a factor, so a side is the median of all runs of
    one recipe but for text, seed and precision, on one device and for one purpose.
    """
    sides: dict[object, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        rate = run.tokens_per_second
        if run.status == "finished" and run.recipe is not None and math.isfinite(rate) and rate > 0:
            alike = replace(run.recipe, mixture=ANY, data="", seed=0, lr=1e-3, precision="bf16")
            key = (alike.id, run.device, run.role)
            sides[key][run.recipe.precision].append(rate)
    ratios: dict[str, list[float]] = defaultdict(list)
    for by_precision in sides.values():
        middle = {name: statistics.median(rates) for name, rates in by_precision.items()}
        for name in middle.keys() - {reference}:
            if reference in middle:
                ratios[name].append(middle[name] / middle[reference])
    return {name: statistics.median(found) for name, found in ratios.items()}


class Paid(Protocol):
    """A budget (:class:`leadsman.plan.budget.Budget`)."""

    def dearer(self, precision: str) -> float:
        """What a FLOP in a precision takes of it."""


def dearer(budget: Paid, points: pl.DataFrame) -> npt.NDArray[np.float64] | float:
    """What a FLOP at each point takes of a budget, by the point's precision."""
    if "precision" not in points.columns:
        return 1.0
    return np.array([budget.dearer(each) for each in points["precision"].to_list()])


def told(speed: Speed) -> str:
    """In words: ``0.45 times as fast, as measured``."""
    where = {"ledger": "as measured", "table": "by the table of accelerators"}
    if speed.source == "unknown":
        return "its speed is not known and taken to be the same"
    return f"{speed.ratio:.2g} times as fast, {where[speed.source]}"
