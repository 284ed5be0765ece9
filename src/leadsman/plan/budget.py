"""What may be spent: FLOPs, money, or hours, all brought to training FLOPs.

``flops = hours * 3600 * flops_per_second`` and ``hours = money / price_per_hour``, where
``flops_per_second`` is what the hardware sustains on a training run, not its peak.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Budget(BaseModel):
    """An upper bound on one training run; exactly one of ``flops``, ``hours`` and ``money``.

    >>> Budget(hours=2, flops_per_second=1e12).total_flops
    7200000000000000.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flops: float | None = Field(None, gt=0, description="training FLOPs")
    hours: float | None = Field(None, gt=0, description="hours on the named hardware")
    money: float | None = Field(None, gt=0, description="in the currency of price_per_hour")
    flops_per_second: float | None = Field(
        None, gt=0, description="sustained training FLOP/s of the hardware, not its peak"
    )
    price_per_hour: float | None = Field(None, gt=0, description="price of the hardware")
    max_params: int | None = Field(
        None, gt=0, description="largest non-embedding parameter count that can be served"
    )

    @model_validator(mode="after")
    def _one_currency(self) -> Budget:
        given = [name for name in ("flops", "hours", "money") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of flops, hours and money (found {found})")
        if self.flops is None and self.flops_per_second is None:
            raise ValueError(f"{given[0]} needs flops_per_second, what the hardware sustains")
        if self.money is not None and self.price_per_hour is None:
            raise ValueError("money needs price_per_hour")
        return self

    @property
    def total_flops(self) -> float:
        """The budget in training FLOPs."""
        if self.flops is not None:
            return self.flops
        if self.hours is not None:
            hours = self.hours
        else:  # the validator has seen to it that these are numbers
            hours = (self.money or 0.0) / (self.price_per_hour or 1.0)
        return hours * 3600 * (self.flops_per_second or 0.0)
