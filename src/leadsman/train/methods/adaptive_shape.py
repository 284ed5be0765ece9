"""Adaptive shape: train the width whose scaling law falls fastest, and widen when that changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.train.base import require
from leadsman.train.methods._growing import GrowingMethod, Stage, step_of

if TYPE_CHECKING:
    from leadsman.runs import Recipe

GRID = 4096


class AdaptiveShape(GrowingMethod):
    """Widens the model, keeping its function, when a wider one's law needs less compute from there.

        L_s(C) = floor + scale C ** -exponent          law of width s, C in FLOPs, L in nats
        -dC/dL = ((L - floor) / scale) ** (-1 / exponent - 1) / (exponent scale)
        train the width of least -dC/dL at the present loss

    The laws, fitted on runs of each width alone (``leadsman sound``, ``leadsman.laws``), settle all
    switches before the run starts: compute on a width is the difference of its ``C`` at the losses
    where it is entered and left. The paper adapts the width and patch size of vision transformers;
    a language model has the width. Claim: less compute to a given loss than any one shape.

    Args:
        laws: for each width, the recipe's included, its (floor, scale, exponent).

    Raises:
        MethodError: fewer than two laws, one out of bounds, widths that do not divide one another,
            or laws by which a width is never worth leaving within the run.
    """

    name = "adaptive_shape"
    knows_length = True
    paper = Paper(
        "Navigating Scaling Laws: Accelerating Vision Transformer's Training via Adaptive "
        "Strategies",
        2023,
        350,
    )

    def __init__(self, *, laws: Mapping[int, Sequence[float]]) -> None:
        if len(laws) < 2:
            raise MethodError("laws must name two widths at least")
        for width, (floor, scale, exponent) in laws.items():
            require(floor, f"floor of width {width}", above=-1e-12)
            require(scale, f"scale of width {width}")
            require(exponent, f"exponent of width {width}")
        self.laws = laws

    def switches(self, most_flops: float) -> list[tuple[int, float]]:
        """Each width in turn, and the FLOPs to spend on it; the last has the rest (``inf``).

        Args:
            most_flops: compute by which a width must have been left.

        Raises:
            MethodError: a width is not worth leaving by then.
        """
        laws = {int(width): tuple(law) for width, law in self.laws.items()}
        widths = sorted(laws)
        plan, entered = [], 0.0
        for width, wider in itertools.pairwise(widths):
            floor, scale, exponent = laws[width]
            compute = np.geomspace(max(entered, most_flops * 1e-9), most_flops, GRID)
            loss = floor + scale * compute**-exponent
            better = _cost(loss, *laws[wider]) < _cost(loss, *laws[width])
            if not better[-1]:
                raise MethodError(
                    f"by the laws width {width} is not worth leaving for {wider} within the run; "
                    f"train width {width} alone, or longer"
                )
            first = int(np.flatnonzero(~better).max(initial=-1)) + 1
            plan.append((width, float(compute[first]) - entered if first else 0.0))
            reached = float(loss[first])
            entered = ((reached - laws[wider][0]) / laws[wider][1]) ** (-1 / laws[wider][2])
        return [*plan, (widths[-1], float("inf"))]

    def stages(self, recipe: Recipe) -> list[Stage]:
        """The widths of :meth:`switches`."""
        from leadsman.train.methods._growth import narrower

        if max(map(int, self.laws)) != recipe.shape.width:
            raise MethodError(
                f"the widest law is of width {max(map(int, self.laws))}, the recipe's width is "
                f"{recipe.shape.width}"
            )
        found, tokens = [], 0.0
        for width, flops in self.switches(recipe.flops):
            shape = narrower(recipe.shape, width)
            if flops > 0:
                found.append(Stage(shape, step_of(tokens, recipe)))
            tokens += flops / shape.train_flops_per_token
        return found


def _cost(
    loss: np.typing.NDArray[np.float64], floor: float, scale: float, exponent: float
) -> np.typing.NDArray[np.float64]:
    """FLOPs for the next nat at a loss; infinite at the floor and below."""
    above = np.maximum(loss - floor, 0.0) / scale
    with np.errstate(divide="ignore"):
        return np.where(above > 0, above ** (-1 / exponent - 1) / (exponent * scale), np.inf)
