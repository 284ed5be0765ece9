"""What may be spent: FLOPs, money, or hours, all brought to training FLOPs.

``flops = hours * 3600 * flops_per_second`` and ``hours = money / price_per_hour``, where
``flops_per_second`` is what the hardware sustains on a training run, not its peak. It is given, or
follows from named hardware (:mod:`leadsman.plan.hardware`) and its utilisation: as given, as
measured on runs of the ledger, or as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from leadsman.errors import InputError
from leadsman.plan.hardware import (
    USUAL_UTILISATION,
    Hardware,
    find_accelerator,
    measured_utilisation,
)
from leadsman.plan.money import Money, common_currency
from leadsman.plan.speed import Speed
from leadsman.runs import Run


class Budget(BaseModel):
    """An upper bound on one training run; exactly one of ``flops``, ``hours`` and ``money``.

    >>> Budget(hours=2, flops_per_second=1e12).total_flops
    7200000000000000.0
    >>> budget = Budget(money="10,000 USD", hardware="H100-SXM", devices=8)
    >>> f"{budget.total_flops:.3g}"
    '4.98e+21'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    flops: float | None = Field(None, gt=0, description="training FLOPs")
    hours: float | None = Field(None, gt=0, description="hours on the named hardware")
    money: Money | None = Field(None, description="an amount; 100 or 100 USD")
    deadline_hours: float | None = Field(None, gt=0, description="wall-clock limit of the run")
    flops_per_second: float | None = Field(
        None, gt=0, description="sustained training FLOP/s of the hardware, not its peak"
    )
    price_per_hour: Money | None = Field(
        None, description="of one device of the named hardware, else of all of it"
    )
    hardware: str | None = Field(None, description="an accelerator of the table")
    hardware_file: str | None = Field(None, description="a table of your own over the bundled one")
    devices: int = Field(1, ge=1, description="of the named hardware")
    utilisation: float | None = Field(None, gt=0, le=1, description="share of peak sustained")
    precision: str = Field("bf16", description="of the arithmetic, for the peak")
    carbon_kg_per_kwh: float = Field(0.4, ge=0, description="of the grid")
    pue: float = Field(1.2, ge=1, description="power usage effectiveness of the data centre")
    max_params: int | None = Field(
        None, gt=0, description="largest non-embedding parameter count that can be served"
    )

    _measured: float | None = PrivateAttr(None)
    _speeds: dict[str, Speed] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _one_currency(self) -> Budget:
        given = [name for name in ("flops", "hours", "money") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of flops, hours and money (found {found})")
        try:
            hardware = self._named()
            common_currency(self.prices())
        except InputError as error:
            raise ValueError(str(error)) from error
        if self.flops is None and self.flops_per_second is None and hardware is None:
            raise ValueError(
                f"{given[0]} needs flops_per_second, what the hardware sustains, or hardware"
            )
        if self.money is not None:
            if not self.money.value:
                raise ValueError("money must be above zero")
            if self.price is None:
                raise ValueError("money needs price_per_hour")
        if self.deadline_hours is not None and self.flops_rate is None:
            raise ValueError("deadline_hours needs flops_per_second or hardware")
        return self

    @property
    def price(self) -> float | None:
        """Price of an hour of all devices."""
        if self.price_per_hour is not None:
            devices = self.devices if self.hardware is not None else 1
            return self.price_per_hour.value * devices
        hardware = self._named()
        if hardware is None or hardware.price_per_hour is None:
            return None
        return hardware.price_per_hour.value * hardware.devices

    @property
    def flops_rate(self) -> float | None:
        """Training FLOP/s that all devices sustain."""
        if self.flops_per_second is not None:
            return self.flops_per_second
        hardware = self._named()
        return None if hardware is None else hardware.flops_per_second

    @property
    def total_flops(self) -> float:
        """The budget in training FLOPs, a deadline respected."""
        return self._flops_at(self.flops_rate or 0.0)

    def dearer(self, precision: str) -> float:
        """What a FLOP in a precision takes of the budget, over one at the budget's own speed.

        One where the budget is FLOPs and no deadline binds, or where nothing is known of the
        precision's speed (:meth:`timed`).
        """
        rate = self.flops_rate or 0.0
        return self.total_flops / self._flops_at(rate * self.speed(precision).ratio)

    @property
    def bound_by_time(self) -> bool:
        """Whether a faster precision would buy more."""
        return self._flops_at(2 * (self.flops_rate or 0.0)) > self.total_flops

    def speed(self, precision: str) -> Speed:
        """How fast a precision trains, where it is known."""
        return self._speeds.get(precision, Speed())

    def timed(self, speeds: Mapping[str, Speed]) -> Budget:
        """The same budget with the speeds of precisions."""
        copy = self.model_copy()
        copy._speeds = dict(speeds)
        return copy

    def _flops_at(self, rate: float) -> float:
        """What the budget pays for at so many FLOP/s."""
        limit = float("inf") if self.deadline_hours is None else 3600 * self.deadline_hours * rate
        if self.flops is not None:
            return min(self.flops, limit)
        if self.hours is not None:
            hours = self.hours
        else:  # the validator has seen to it that these are numbers
            hours = (self.money.value if self.money else 0.0) / (self.price or 1.0)
        return min(hours * 3600 * rate, limit)

    @property
    def currency(self) -> str | None:
        """Of all prices; ``None`` where no price names one."""
        return common_currency(self.prices())

    def prices(self) -> dict[str, Money | None]:
        """Every amount by where it stands, for the check that they share a currency."""
        hardware = self._named()
        table = None if hardware is None or self.price_per_hour else hardware.price_per_hour
        return {
            "budget.money": self.money,
            "budget.price_per_hour": self.price_per_hour,
            f"the price of {self.hardware}": table if self.money is not None else None,
        }

    def on_hardware(self) -> Hardware | None:
        """The named hardware with price and utilisation in force."""
        return self._named()

    def measured(self, runs: Iterable[Run], *, params: float | None = None) -> Budget:
        """The same budget with the utilisation that runs of the ledger reached, if any tell."""
        if self.hardware is None or self.utilisation is not None:
            return self
        accelerator = find_accelerator(self.hardware, self._table())
        found = measured_utilisation(runs, accelerator, precision=self.precision, params=params)
        copy = self.model_copy()
        copy._measured = found
        return copy

    def _named(self) -> Hardware | None:
        if self.hardware is None:
            return None
        accelerator = find_accelerator(self.hardware, self._table())
        hardware = Hardware(
            name=self.hardware,
            accelerator=accelerator,
            devices=self.devices,
            utilisation=self.utilisation or self._measured or USUAL_UTILISATION,
            source="given" if self.utilisation else "ledger" if self._measured else "usual",
            precision=self.precision,
            price_per_hour=self.price_per_hour or accelerator.price_per_hour,
            pue=self.pue,
            carbon_kg_per_kwh=self.carbon_kg_per_kwh,
        )
        if self.flops_per_second is None:
            return hardware
        peak = hardware.flops_per_second / hardware.utilisation
        return replace(hardware, utilisation=self.flops_per_second / peak, source="given")

    def _table(self) -> Path | None:
        return None if self.hardware_file is None else Path(self.hardware_file)
