"""A project once its text is token sets and its ladder is designed: what every later step needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from leadsman.errors import BudgetError
from leadsman.plan.project import Project
from leadsman.plan.settings.axes import Axes
from leadsman.plan.soundings import final_options
from leadsman.runs import Mixture, Recipe
from leadsman.train.device import fits, resolve_device


@dataclass(frozen=True)
class Designed:
    """A project with its data at hand and its ladder designed.

    Attributes:
        project: what is planned.
        mixtures: the sounded ones.
        tokens: result of the tokenise stage, with ``full``, the full size of each token set.
        ladder: the soundings at the reference settings.
        beside: series of given models (:mod:`leadsman.plan.starts`): recipes but for their tokens.
        starts: the models, ready for JSON.
        here: the planned run is made on this machine, so options that its trainer would refuse for
            their memory are none.
    """

    project: Project
    mixtures: Sequence[Mixture]
    tokens: Mapping[str, Any]
    ladder: Sequence[Recipe]
    beside: Sequence[Recipe] = ()
    starts: Sequence[Mapping[str, Any]] = ()
    here: bool = False

    @cached_property
    def axes(self) -> Axes:
        """What is tried beside mixture and size."""
        return Axes.of(
            self.project.vary,
            self.mixtures,
            [each.name for each in self.project.sources],
            self.ladder[0],
            keep=self.project.selection.keep,
            beside=self.beside,
        )

    def options(
        self, mixtures: Sequence[Mixture] | None = None, budget_flops: float | None = None
    ) -> list[Recipe]:
        """What the budget can be spent on, at the reference settings.

        Raises:
            BudgetError: nothing is left; says what ruled options out.
        """
        options = final_options(
            self.project,
            self.mixtures if mixtures is None else mixtures,
            vocab_size=self.tokens["vocab_size"],
            data=self.tokens["data"],
            budget_flops=budget_flops,
            full=self.tokens.get("full"),
            beside=self.beside,
        )
        if not self.here:
            return options
        device = resolve_device("auto")
        fitting = [each for each in options if fits(each, device)]
        if not fitting:
            raise BudgetError(
                f"the run is made here, and no model weighed fits the memory of this {device}; "
                "lower soundings.widths, or plan without --do"
            )
        return fitting
