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
        laws: of each width, the recipe's included: ``width``, ``floor``, ``scale``, ``exponent``.

    Raises:
        MethodError: fewer than two laws, one with other fields or out of bounds, widths that do not
            divide one another, or laws by which a width is never worth leaving within the run.
    """

    name = "adaptive_shape"
    knows_length = True
    paper = Paper(
        "Navigating Scaling Laws: Accelerating Vision Transformer's Training via Adaptive "
        "Strategies",
        2023,
        350,
    )

    def __init__(self, *, laws: Sequence[Mapping[str, float]]) -> None:
        if len({law.get("width") for law in laws}) < 2:
            raise MethodError("laws must name two widths at least")
        for law in laws:
            if set(law) != {"width", "floor", "scale", "exponent"}:
                raise MethodError(f"a law has width, floor, scale and exponent, not {dict(law)}")
            require(law["floor"], f"floor of width {law['width']}", above=-1e-12)
            require(law["scale"], f"scale of width {law['width']}")
            require(law["exponent"], f"exponent of width {law['width']}")
        self.laws = laws

    def switches(self, most_flops: float) -> list[tuple[int, float]]:
        """Each width in turn, and the FLOPs to spend on it; the last has the rest (``inf``).

        Args:
            most_flops: compute by which a width must have been left.

        Raises:
            MethodError: a width is not worth leaving by then.
        """
        laws = {
            int(law["width"]): (law["floor"], law["scale"], law["exponent"]) for law in self.laws
        }
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

        widest = max(int(law["width"]) for law in self.laws)
        if widest != recipe.shape.width:
            raise MethodError(
                f"the widest law is of width {widest}, the recipe's width is {recipe.shape.width}"
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
