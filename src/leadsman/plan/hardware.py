"""Accelerators: what they can do at best, what they did, and what an hour costs.

    flops_per_second = devices * peak(precision) * utilisation
    hours = flops / flops_per_second / 3600       money = hours * devices * price_per_hour

The table stands in ``accelerators.yaml`` and may be overridden by a file of the same form.
Utilisation is measured where the ledger holds runs on that hardware, else a stated guess.
"""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

from pydantic import Field

from leadsman.errors import InputError
from leadsman.plan.money import Amount, Money
from leadsman.runs import Run
from leadsman.strict_yaml import Strict, load_yaml

USUAL_UTILISATION = 0.35
"""Share of peak that well-kept training code sustains; used where no run says better."""

NEAR = 10.0
"""Runs count as evidence for a plan within this factor of its parameters."""


class Accelerator(Strict):
    """One device."""

    match: tuple[str, ...] = Field((), description="parts of the name a run's device goes by")
    peak_tflops: dict[str, float] = Field(min_length=1, description="1e12 FLOP/s by precision")
    memory_gb: float = Field(gt=0, description="1e9 bytes")
    bandwidth_gb_s: float = Field(gt=0, description="1e9 bytes a second")
    watts: float | None = Field(None, gt=0, description="at full load")
    price_per_hour: Money | None = None

    def peak_flops(self, precision: str) -> float:
        """Peak FLOP/s; a precision that is not listed runs at the nearest wider one.

        >>> table = load_accelerators()
        >>> table["A100-SXM-80GB"].peak_flops("fp8") == table["A100-SXM-80GB"].peak_flops("bf16")
        True
        """
        wider = ("fp8", "bf16", "tf32", "float32")
        start = wider.index(precision) if precision in wider else 1
        for name in (*wider[start:], *reversed(wider[:start])):
            if name in self.peak_tflops:
                return 1e12 * self.peak_tflops[name]
        return 1e12 * max(self.peak_tflops.values())


class _Table(Strict):
    price_date: object = None
    accelerators: dict[str, Accelerator]


def load_accelerators(override: Path | None = None) -> dict[str, Accelerator]:
    """The bundled table, with entries of a file of the same form in their place.

    Raises:
        InputError: the file is missing or a field is wrong; file, line and field are named.
    """
    with as_file(files("leadsman.plan") / "accelerators.yaml") as bundled:
        table = dict(load_yaml(bundled, _Table).accelerators)
    if override is not None:
        table |= load_yaml(override, _Table).accelerators
    return table


def price_date() -> str:
    """The day of the bundled table's prices."""
    with as_file(files("leadsman.plan") / "accelerators.yaml") as bundled:
        return str(load_yaml(bundled, _Table).price_date)


def find_accelerator(name: str, override: Path | None = None) -> Accelerator:
    """An accelerator by its name in the table; capitals do not matter.

    Raises:
        InputError: no such entry; the nearest and all known are named.
    """
    table = load_accelerators(override)
    by_lower = {key.lower(): key for key in table}
    if name.lower() in by_lower:
        return table[by_lower[name.lower()]]
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"did you mean {by_lower[near[0]]!r}? " if near else ""
    raise InputError(
        f"no accelerator is called {name!r}; {hint}known are {', '.join(table)}",
        column="hardware",
    )


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Devices that run a plan.

    Attributes:
        name: of the accelerator.
        accelerator: one device.
        devices: how many.
        utilisation: share of peak a training run sustains.
        source: where the utilisation comes from.
        precision: of the arithmetic.
        price_per_hour: of one device; ``None`` where it costs nothing or is not known.
        pue: power usage effectiveness of the data centre: all power over the devices' own.
        carbon_kg_per_kwh: of the grid.
    """

    name: str
    accelerator: Accelerator
    devices: int = 1
    utilisation: float = USUAL_UTILISATION
    source: Literal["ledger", "given", "usual"] = "usual"
    precision: str = "bf16"
    price_per_hour: Amount | None = None
    pue: float = 1.2
    carbon_kg_per_kwh: float = 0.4

    @property
    def flops_per_second(self) -> float:
        """What all devices sustain together on a training run."""
        return self.devices * self.accelerator.peak_flops(self.precision) * self.utilisation

    @property
    def memory_bytes(self) -> float:
        """Memory of one device."""
        return 1e9 * self.accelerator.memory_gb

    def hours(self, flops: float) -> float:
        """Wall-clock hours for training FLOPs."""
        return flops / self.flops_per_second / 3600

    def money(self, flops: float) -> float | None:
        """Price of training FLOPs, in the currency of ``price_per_hour``."""
        if self.price_per_hour is None:
            return None
        return self.hours(flops) * self.devices * self.price_per_hour.value

    def energy_kwh(self, flops: float) -> float | None:
        """Energy drawn from the grid for training FLOPs.

        ``hours * devices * watts * pue / 1000`` (Strubell et al. 2019, catalogue 391, with the
        boards' limit in place of a measured mean: an upper estimate).
        """
        if self.accelerator.watts is None:
            return None
        return self.hours(flops) * self.devices * self.accelerator.watts * self.pue / 1000

    def carbon_kg(self, flops: float) -> float | None:
        """CO2 equivalent of :meth:`energy_kwh` on the grid."""
        energy = self.energy_kwh(flops)
        return None if energy is None else energy * self.carbon_kg_per_kwh


def measured_utilisation(
    runs: Iterable[Run],
    accelerator: Accelerator,
    *,
    precision: str,
    params: float | None = None,
) -> float | None:
    """Median share of peak of the ledger's runs on this hardware; ``None`` where there are none.

    Only runs that tell their throughput count, and of those, where the plan's size is known, only
    runs within a factor of ten of it: a tiny model leaves an accelerator idle.

    Args:
        runs: of the ledger, each on one device.
        accelerator: whose ``match`` a run's ``device`` must hold.
        precision: of the plan; runs of another precision are left out.
        params: non-embedding parameters of the planned run.
    """
    shares = []
    for run in runs:
        if run.status != "finished" or run.recipe is None or run.recipe.precision != precision:
            continue
        if not any(part.lower() in run.device.lower() for part in accelerator.match):
            continue
        size = run.recipe.shape.non_embedding_params
        if params is not None and not params / NEAR <= size <= params * NEAR:
            continue
        if math.isfinite(run.tokens_per_second) and run.tokens_per_second > 0:
            rate = run.tokens_per_second * run.recipe.shape.train_flops_per_token
            shares.append(rate / accelerator.peak_flops(precision))
    return statistics.median(shares) if shares else None
