"""Bytes that a training process holds, told before it starts.

    weights + optimizer state                  by optimizer and methods (their formulas)
    + gradients, activations                   of one micro-batch, at the highest moment of a step
    + a copy of weights and state              where longer runs branch from the same trunk
    + checkpoint being written                 all of these but the gradients, once more
    + libraries

The moments of a step are those of :mod:`leadsman.train.memory`. What an optimizer holds for the
length of one step is taken to be AdamW's.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadsman.runs import Recipe
from leadsman.train.memory import TrainingSetting
from leadsman.train.memory.estimate import TRAINER_BYTES, beside_by_moment


@dataclass(frozen=True)
class Footprint:
    """Bytes by what they are for, of one replica.

    Attributes:
        weights: trained parameters, and the index sets they are kept by.
        gradients: of all parameters.
        state: of the optimizer.
        work: beside weights and state at the highest moment of a step: activations of one
            micro-batch, logits, gradients.
    """

    weights: int
    gradients: int
    state: int
    work: float


def footprint(recipe: Recipe, *, device: str = "cpu", replicas: int = 1) -> Footprint:
    """What one of ``replicas`` stacked runs of a recipe keeps, at its most.

    Args:
        recipe: the run.
        device: ``cpu`` or ``cuda``; settles the micro-batch.
        replicas: side by side.

    Raises:
        InputError: an optimizer or a method that is not known.
        MethodError: an option out of bounds.
    """
    from leadsman.train.build import chosen_optimizer, run_methods

    shape, optimizer = recipe.shape, chosen_optimizer(recipe)
    params, indices = shape.params, 0
    for method in run_methods(recipe):
        params = min(params, method.params(shape))
        indices += method.index_bytes(shape)
    factored = shape.params - params
    return Footprint(
        weights=4 * params + indices,
        gradients=4 * params,
        state=optimizer.state_bytes(shape) - 4 * optimizer.state_numbers * factored,
        work=_work(recipe, device, replicas, gradients=4 * params),
    )


def estimate_memory_bytes(
    recipe: Recipe, *, device: str = "cpu", replicas: int = 1, branches: bool = True
) -> float:
    """Resident bytes of one training process.

    Args:
        recipe: the run.
        device: ``cpu`` or ``cuda``.
        replicas: side by side.
        branches: whether longer runs continue from the same trunk.

    Raises:
        InputError: an optimizer or a method that is not known.
        MethodError: an option out of bounds.
    """
    parts = footprint(recipe, device=device, replicas=replicas)
    kept = parts.weights + parts.state
    copies = 2 if branches else 1
    held = kept + parts.work + (2 * copies - 1) * kept
    return replicas * held + TRAINER_BYTES


def _work(recipe: Recipe, device: str, replicas: int, *, gradients: float) -> float:
    from leadsman.train.micro_batches import micro_sequences

    sequences = recipe.batch_tokens // recipe.shape.seq_len
    at_once = micro_sequences(sequences, recipe.shape.seq_len, device, replicas=replicas)
    setting = TrainingSetting(
        shape=recipe.shape,
        sequences=at_once,
        precision="bf16-mixed" if recipe.precision == "bf16" else "float32",
        accumulate=at_once < sequences,
    )
    return max(beside_by_moment(setting, gradients).values())
