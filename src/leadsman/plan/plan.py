"""The decision as data: the recipe chosen, what it beat, and what each is predicted to give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from leadsman.runs import Recipe, RegisteredForecast


@dataclass(frozen=True, kw_only=True)
class Option:
    """One recipe that was weighed.

    Attributes:
        recipe: what would be run.
        forecast: what it is predicted to give.
        probability_best: share of the forecast's draws in which no other option does better.
        label: mixture and the settings that depart from the reference, for a person.
    """

    recipe: Recipe
    forecast: RegisteredForecast
    probability_best: float
    label: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "recipe": self.recipe.to_dict(),
            "forecast": self.forecast.to_dict(),
            "probability_best": self.probability_best,
            "label": self.label or self.recipe.mixture.name,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Option:
        """The inverse of :meth:`to_dict`."""
        return cls(
            recipe=Recipe.from_dict(plain["recipe"]),
            forecast=RegisteredForecast.from_dict(plain["forecast"]),
            probability_best=plain["probability_best"],
            label=plain.get("label", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Compute the chosen recipe needs to reach what the naive one gives with all of it.

    Attributes:
        fraction: share of the budget's FLOPs saved at equal quality (median over draws).
        low: 10 % quantile over draws.
        high: 90 % quantile over draws.
        censored: the saving is larger than the range that could be looked at.
    """

    fraction: float
    low: float
    high: float
    censored: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, and why.

    Attributes:
        y: the quantity that is minimised, e.g. ``bpb.target``.
        budget_flops: training FLOPs allowed.
        chosen: the recommended recipe.
        naive: what would be done without Leadsman: the natural mixture, the same model and compute.
        alternatives: the best option of every other mixture and size, best first.
        saving: compute saved at equal quality against ``naive``; ``None`` if ``naive`` is chosen.
        sounding_flops: what the small runs cost.
        details: what else is known of the plan, ready for JSON: cost, serving, memory, regret,
            pareto, rules, next (:mod:`leadsman.plan.account`).
    """

    y: str
    budget_flops: float
    chosen: Option
    naive: Option
    alternatives: tuple[Option, ...]
    saving: Saving | None
    sounding_flops: float
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "y": self.y,
            "budget_flops": self.budget_flops,
            "chosen": self.chosen.to_dict(),
            "naive": self.naive.to_dict(),
            "alternatives": [option.to_dict() for option in self.alternatives],
            "saving": None if self.saving is None else asdict(self.saving),
            "sounding_flops": self.sounding_flops,
            **self.details,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`to_dict`."""
        own = set(cls.__dataclass_fields__)
        values = {name: each for name, each in plain.items() if name in own}
        values["details"] = {name: each for name, each in plain.items() if name not in own}
        values["chosen"] = Option.from_dict(values["chosen"])
        values["naive"] = Option.from_dict(values["naive"])
        values["alternatives"] = tuple(Option.from_dict(each) for each in values["alternatives"])
        values["saving"] = None if values["saving"] is None else Saving(**values["saving"])
        return cls(**values)
