"""Bytes that a training process holds, told before it starts.

    weights + gradients + optimizer state      by optimizer and methods (their formulas)
    + a copy of weights and state              where longer runs branch from the same trunk
    + checkpoint being written                 all of these but the gradients, once more
    + activations                              of one micro-batch, 4 bytes a number
    + libraries

What an optimizer holds for the length of one step is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadsman.runs import Recipe

LIBRARY_BYTES = 8e8


@dataclass(frozen=True)
class Footprint:
    """Bytes by what they are for, of one replica.

    Attributes:
        weights: trained parameters, and the index sets they are kept by.
        gradients: of all parameters.
        state: of the optimizer.
        activations: of one micro-batch, logits included.
    """

    weights: int
    gradients: int
    state: int
    activations: float


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
        activations=_activations(recipe, device, replicas),
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
    held = kept + parts.gradients + parts.activations + (2 * copies - 1) * kept
    return replicas * held + LIBRARY_BYTES


def _activations(recipe: Recipe, device: str, replicas: int) -> float:
    from leadsman.train.micro_batches import micro_sequences

    shape = recipe.shape
    sequences = recipe.batch_tokens // shape.seq_len
    at_once = micro_sequences(sequences, shape.seq_len, device, replicas=replicas)
    kv_width = shape.kv_heads * shape.head_width
    block = 9 * shape.width + 3 * kv_width + 4 * shape.ffn_width + 2 * shape.heads * shape.seq_len
    return 4.0 * at_once * shape.seq_len * (shape.layers * block + 3 * shape.vocab_size)
