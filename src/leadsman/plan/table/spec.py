"""What may be chosen from a table of runs, under which limits, and by what: a YAML file.

y: loss
space:
  params: {low: 1e8, high: 7e9}
  tokens: {low: 2e9, high: 1e12}
  lr: {low: 1e-4, high: 1e-2}
budget: {flops: 1e21}
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from leadsman.plan.budget import Budget
from leadsman.plan.decision.space import Dimension
from leadsman.plan.inference import ServingSpec
from leadsman.plan.money import Money
from leadsman.plan.sources import SourceOffer
from leadsman.strict_yaml import Strict


class MemorySpec(Strict):
    """How the planned run is trained, for its memory; the shape follows from ``params``."""

    limit_gb: float = Field(gt=0, description="1e9 bytes of one device")
    vocab_size: int = Field(32_000, ge=1)
    seq_len: int = Field(2048, ge=1)
    sequences: int = Field(1, ge=1)
    precision: Literal["float32", "bf16-mixed", "bf16", "bf16-master"] = "bf16-mixed"
    optimizer: Literal["sgd", "sgd-momentum", "adamw", "adamw-8bit", "lion", "muon"] = "adamw"
    checkpointing: bool = False
    zero_stage: Literal[0, 1, 2, 3] = 0
    devices: int = Field(1, ge=1)


class TableSpec(Strict):
    """What may be chosen, under which limits, and by what."""

    y: str = "loss"
    group: str | None = Field(None, description="column of names with a law each (mixtures)")
    space: dict[str, Dimension] = Field(min_length=1)
    budget: Budget
    serving: ServingSpec | None = None
    memory: MemorySpec | None = None
    unique_tokens: float | None = Field(None, gt=0, description="tokens there are, before keep")
    max_epochs: float | None = Field(None, gt=0, description="over the tokens that are kept")
    objective: Literal["mean", "quantile"] = "mean"
    quantile: float = Field(0.9, gt=0, lt=1)
    worlds: int = Field(10_000, ge=200, le=200_000)
    next_share: float = Field(0.02, gt=0, lt=1, description="most a next run may cost, of budget")
    regret_tolerance: float = Field(0.0, ge=0)
    sources: dict[str, SourceOffer] = Field({}, description="sizes, prices, licences by name")
    exclude_licences: tuple[str, ...] = ()
    money_for_data: Money | None = Field(None, description="beside the budget; else out of it")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> TableSpec:
        for name in ("params", "tokens"):
            if name not in self.space:
                raise ValueError(f"space must say what {name} may be: a range, or fixed")
        if self.max_epochs is not None and self.unique_tokens is None:
            raise ValueError("max_epochs needs unique_tokens, how many there are")
        if self.group is not None and self.group not in self.space:
            raise ValueError(f"space must list the choices of the group {self.group!r}")
        for name in self.space:
            if self.sources and name.startswith("mix.") and name[4:] not in self.sources:
                raise ValueError(f"{name} is in the space, but sources has no {name[4:]!r}")
        return self
