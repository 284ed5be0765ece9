"""How fast this machine is beside the reference machine of :mod:`leadsman.train.cost`."""

from __future__ import annotations

import math
import time

from leadsman.runs import Mixture
from leadsman.train.defaults import default_recipe, shape_of_width

PROBE_TOKENS_PER_SECOND = 12_750.0
"""Tokens a second of the probe on the reference machine."""


def machine_ratio(*, seconds: float = 3.0) -> float:
    """How much slower than the reference this machine is now: 1 is equal, 2 takes twice as long.

    Args:
        seconds: how long to try.
    """
    return PROBE_TOKENS_PER_SECOND / probe_tokens_per_second(seconds=seconds)


def probe_tokens_per_second(*, seconds: float = 3.0) -> float:
    """Tokens a second of a small model, not compiled, on random tokens with one thread."""
    import torch

    from leadsman.train.build import build_optimizer
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        shape = shape_of_width(96, vocab_size=2048, seq_len=256)
        recipe = default_recipe(shape, Mixture("probe", {"probe": 1}), "", 1 << 20, seed=0)
        model = Decoder(shape)
        initialize(model, seed=0)
        optimizer = build_optimizer(model, recipe)
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(shape.vocab_size, (4, shape.seq_len + 1), generator=generator)
        steps, began = -1, math.inf
        while steps < 1 or time.perf_counter() - began < seconds:
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                loss = model.loss(ids[:, :-1], ids[:, 1:])
            torch.autograd.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            steps += 1
            began = time.perf_counter() if steps == 0 else began
        return steps * 4 * shape.seq_len / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
