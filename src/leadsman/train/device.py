"""Which device a run is on, and whether it fits there."""

from __future__ import annotations

from leadsman.errors import InputError
from leadsman.runs import Recipe


def resolve_device(name: str) -> str:
    """``auto`` to ``cuda`` or ``cpu``.

    Raises:
        InputError: CUDA is asked for and not there, or the name is unknown.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise InputError(f"{name!r} is not a device; choose auto, cpu or cuda", column="device")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "cuda is asked for, but torch sees no CUDA device here; use auto or cpu",
            column="device",
        )
    return name


def check_memory(recipe: Recipe, device: str, *, replicas: int = 1, branches: bool = False) -> None:
    """Refuse a run, or a stack of runs, that will not fit, before it starts.

    Arguments are those of :func:`~leadsman.train.footprint.estimate_memory_bytes`.

    Raises:
        InputError: the estimate is above the memory of the machine or device; both are told.
    """
    from leadsman.train.footprint import estimate_memory_bytes
    from leadsman.train.provenance import memory_bytes

    needed = estimate_memory_bytes(recipe, device=device, replicas=replicas, branches=branches)
    there = memory_bytes(device)
    if needed > there:
        raise InputError(
            f"about {needed / 1e9:.3g} GB of memory are needed and {device} has "
            f"{there / 1e9:.3g} GB; lower the width, layers, seq_len or vocab_size",
            column="shape",
        )


def fits(recipe: Recipe, device: str) -> bool:
    """Whether a run alone is within the memory of the machine or device (:func:`check_memory`)."""
    from leadsman.train.footprint import estimate_memory_bytes
    from leadsman.train.provenance import memory_bytes

    needed = estimate_memory_bytes(recipe, device=device, branches=False)
    return needed <= memory_bytes(device)


def out_of_memory(error: BaseException, recipe: Recipe, device: str, *, replicas: int = 1) -> str:
    """What to say of an error that means memory ran out; empty for any other error."""
    from leadsman.train.footprint import estimate_memory_bytes
    from leadsman.train.provenance import memory_bytes

    if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
        return ""
    cause = (str(error) or "allocation failed").splitlines()[0]
    needed = estimate_memory_bytes(recipe, device=device, replicas=replicas)
    lower = "the width, layers or seq_len" if replicas == 1 else f"the stack of {replicas}"
    return (
        f"out of memory ({cause}): {recipe.shape.params:,} parameters at {recipe.batch_tokens} "
        f"tokens a batch need about {needed / 1e9:.3g} GB and {device} has "
        f"{memory_bytes(device) / 1e9:.3g} GB, perhaps not all of it free; lower {lower}"
    )
