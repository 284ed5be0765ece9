"""G_stack: grow a small trained model by stacking its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsman.methods import Paper
from leadsman.train.base import TrainingMethod, require

if TYPE_CHECKING:
    from leadsman.train.model import Decoder


class GStack(TrainingMethod):
    """Starts a deep model from copies of a shallow trained one, stacked in depth.

        blocks of the grown model = blocks of the small one, ``factor`` times in order

    Embeddings and the final norm are taken over. The paper advises a factor of 4 and growing after
    few tokens (10B for a 7B model); its claim is 54.6 % fewer tokens to the same loss there.

    Args:
        factor: times the depth.

    Raises:
        MethodError: a factor below one.
    """

    name = "gstack"
    paper = Paper(
        "Stacking Your Transformers: A Closer Look at Model Growth for Efficient LLM Pre-Training",
        2024,
        217,
    )

    def __init__(self, *, factor: int = 4) -> None:
        require(factor, "factor")
        self.factor = factor

    def apply(self, model: Decoder) -> Decoder:
        """A new model ``factor`` times as deep; the given one is left as it is."""
        from dataclasses import replace

        import torch

        from leadsman.train.model import Decoder

        layers = model.shape.layers
        grown = Decoder(
            replace(model.shape, layers=self.factor * layers), replicas=model.replicas
        ).to(model.embedding.device)
        with torch.no_grad():
            for name, param in grown.named_parameters():
                part, _, rest = name.partition(".")
                if part == "blocks":
                    number, _, kind = rest.partition(".")
                    name = f"blocks.{int(number) % layers}.{kind}"
                param.copy_(model.get_parameter(name))
        return grown
