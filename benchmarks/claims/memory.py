"""Bytes of optimizer state and weights at the sizes the papers train, against their figures.

    python -m benchmarks.claims.memory

State is counted by the methods' formulas, which the tests hold to the bytes of real tensors
(tests/train/test_memory.py). Peak memory is measured: one process a method trains a wide shallow
model for three steps, and tells its largest resident size less that before the model was made.
Writes ``memory.json``; about a minute on one core.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from leadsman.registry import method
from leadsman.runs import Mixture, ModelShape, Recipe

RESULT = Path(__file__).with_name("memory.json")
LLAMA = {
    "60M": (512, 1376, 8, 8, 128),
    "130M": (768, 2048, 12, 12, 256),
    "350M": (1024, 2736, 24, 16, 256),
    "1B": (2048, 5461, 24, 32, 512),
    "7B": (4096, 11_008, 32, 32, 1024),
}
"""Hidden size, intermediate size, layers, heads and rank of GaLore's and SLTrain's tables."""

SLTRAIN_PARAMS = {"60M": 44e6, "130M": 97e6, "350M": 194e6, "1B": 646e6}
LOW_RANK_PARAMS = {"60M": 43e6, "130M": 94e6, "350M": 185e6, "1B": 609e6}
GALORE_STATE_SAVED = 0.655

PEAK_SHAPE = ModelShape(
    layers=3, width=1024, heads=8, kv_heads=8, ffn_width=2736, vocab_size=1024, seq_len=64
)
PEAK_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw": ("adamw", {}),
    "lion": ("lion", {}),
    "galore": ("galore", {"galore": {"rank": 256}}),
    "dct": ("dct", {"dct": {"rank": 256}}),
    "sltrain": ("adamw", {"sltrain": {"rank": 256, "density": 0.03}}),
    "low_rank": ("adamw", {"low_rank": {"rank": 256}}),
    "monarch": ("adamw", {"monarch": {"blocks": 4}}),
}


def llama(size: str) -> ModelShape:
    """A shape of the table."""
    width, ffn_width, layers, heads, _ = LLAMA[size]
    return ModelShape(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        ffn_width=ffn_width,
        vocab_size=32_000,
        seq_len=256,
        tie_embeddings=False,
    )


def states() -> list[dict[str, Any]]:
    """Bytes in float32 at every size, and the papers' figures where there are any."""
    rows = []
    for size, (*_, rank) in LLAMA.items():
        shape = llama(size)
        row: dict[str, Any] = {"size": size, "rank": rank, "params": shape.params}
        for name in ("galore", "dct"):
            state = method("training", name)(rank=rank).state_bytes(shape)
            row[name] = {"state_bytes": state, "saved": 1 - state / (8 * shape.params)}
        sltrain = method("training", "sltrain")(rank=rank, density=0.03)
        low_rank = method("training", "low_rank")(rank=rank)
        for name, params, theirs in (
            ("sltrain", sltrain.params(shape), SLTRAIN_PARAMS.get(size)),
            ("low_rank", low_rank.params(shape), LOW_RANK_PARAMS.get(size)),
        ):
            state = 8 * params
            row[name] = {
                "params": params,
                "paper_params": theirs,
                "state_bytes": state,
                "saved": 1 - state / (8 * shape.params),
            }
        rows.append(row)
    return rows


def peak(name: str) -> dict[str, Any]:
    """Resident bytes that three steps of one method add to a process, measured in this one."""
    import torch

    from leadsman.train.loop import build_optimizer, run_methods
    from leadsman.train.memory import state_bytes, weight_bytes
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize

    torch.set_num_threads(1)
    optimizer, methods = PEAK_METHODS[name]
    recipe = Recipe(
        shape=PEAK_SHAPE,
        mixture=Mixture("m", {"a": 1}),
        data="",
        tokens=1 << 20,
        batch_tokens=PEAK_SHAPE.seq_len,
        lr=1e-3,
        optimizer=optimizer,
        methods=methods,
    )
    torch.zeros(256, 256) @ torch.zeros(256, 256)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = Decoder(PEAK_SHAPE)
    initialize(model, seed=0)
    for each in run_methods(recipe):
        model = each.prepare(model, recipe)
    built = build_optimizer(model, recipe)
    ids = torch.randint(0, 1024, (1, 65), generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        torch.autograd.backward(model.loss(ids[:, :-1], ids[:, 1:]))
        built.step()
        built.zero_grad(set_to_none=True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "weight_bytes": weight_bytes(model),
        "state_bytes": state_bytes(built),
        "peak_bytes": 1024 * (after - before),
    }


def main() -> None:
    """Write the result, or with a method's name print its peak."""
    if len(sys.argv) > 1:
        print(json.dumps(peak(sys.argv[1])))
        return
    peaks = {}
    for name in PEAK_METHODS:
        command = [sys.executable, "-m", "benchmarks.claims.memory", name]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[name] = json.loads(told.stdout)
        print(name, peaks[name], flush=True)
    result = {
        "machine": machine("torch"),
        "states": states(),
        "peak_shape": vars(PEAK_SHAPE) | {"params": PEAK_SHAPE.params},
        "peaks": peaks,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
