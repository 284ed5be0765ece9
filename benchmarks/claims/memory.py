"""Bytes of optimizer state and weights at the sizes the papers train.

    python -m benchmarks.claims.memory [METHOD ...]

State is counted by the methods' formulas, which the tests hold to the bytes of real tensors
(tests/train/test_memory.py). Peak memory is measured: one process a method trains a wide shallow
model for three steps, and tells its largest resident size less that before the model was made.
Writes ``results/memory.json``; about a minute on one core. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from leadsman.runs import Mixture, ModelShape, Recipe
from leadsman.train.methods.low_rank import LowRank
from leadsman.train.methods.sltrain import SLTrain
from leadsman.train.optimizers.dct import DCT
from leadsman.train.optimizers.galore import GaLore

RESULT = Path(__file__).parent / "results" / "memory.json"
LLAMA = {
    "60M": (512, 1376, 8, 8, 128),
    "130M": (768, 2048, 12, 12, 256),
    "350M": (1024, 2736, 24, 16, 256),
    "1B": (2048, 5461, 24, 32, 512),
    "7B": (4096, 11_008, 32, 32, 1024),
}
"""Hidden size, intermediate size, layers, heads and rank of GaLore's and SLTrain's tables."""

PEAK_SHAPE = ModelShape(
    layers=3, width=1024, heads=8, kv_heads=8, ffn_width=2736, vocab_size=1024, seq_len=64
)
RANK = 256
WARM_UP_SHAPE = replace(PEAK_SHAPE, width=64, heads=2, kv_heads=2, ffn_width=192, layers=1)
PEAK_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw": ("adamw", {}),
    "lion": ("lion", {}),
    "galore": ("galore", {"rank": RANK}),
    "dct": ("dct", {"rank": RANK}),
    "sltrain": ("adamw", {"rank": RANK, "density": 0.03}),
    "low_rank": ("adamw", {"rank": RANK}),
    "monarch": ("adamw", {"blocks": 4}),
}
"""Optimizer and the method's options."""


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
    """Bytes in float32 at every size."""
    rows = []
    for size, (*_, rank) in LLAMA.items():
        shape = llama(size)
        row: dict[str, Any] = {"size": size, "rank": rank, "params": shape.params}
        for projected in (GaLore(rank=rank), DCT(rank=rank)):
            state = projected.state_bytes(shape)
            row[projected.name] = {"state_bytes": state, "saved": 1 - state / (8 * shape.params)}
        for factored in (SLTrain(rank=rank, density=0.03), LowRank(rank=rank)):
            params = factored.params(shape)
            row[factored.name] = {
                "params": params,
                "state_bytes": 8 * params,
                "saved": 1 - params / shape.params,
            }
        rows.append(row)
    return rows


def peak(name: str) -> dict[str, Any]:
    """Resident bytes that three steps of one method add to a process, measured in this one.

    A small model is trained first, so that libraries and kernels are loaded.
    """
    import torch

    torch.set_num_threads(1)
    train(name, WARM_UP_SHAPE)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    counted = train(name, PEAK_SHAPE)
    after = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return counted | {"peak_bytes": after - before}


def train(name: str, shape: ModelShape) -> dict[str, Any]:
    """Three steps, and the bytes of weights and optimizer state then."""
    import torch

    from benchmarks.claims.tensor_bytes import state_bytes, weight_bytes
    from leadsman.train.build import build_optimizer, run_methods
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize

    optimizer, options = PEAK_METHODS[name]
    if "rank" in options:
        options = options | {"rank": RANK * shape.width // PEAK_SHAPE.width}
    recipe = Recipe(
        shape=shape,
        mixture=Mixture("m", {"a": 1}),
        data="",
        tokens=1 << 20,
        batch_tokens=shape.seq_len,
        lr=1e-3,
        optimizer=optimizer,
        methods={name: options} if options else {},
    )
    model = Decoder(shape)
    initialize(model, seed=0)
    for each in run_methods(recipe):
        model = each.prepare(model, recipe)
    built = build_optimizer(model, recipe)
    ids = torch.randint(0, 1024, (1, 65), generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        torch.autograd.backward(model.loss(ids[:, :-1], ids[:, 1:]))
        built.step()
        built.zero_grad(set_to_none=True)
    return {"weight_bytes": weight_bytes(model), "state_bytes": state_bytes(built)}


def main() -> None:
    """Write the result; methods that are named are measured, the others' peaks are kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("methods", nargs="*", default=list(PEAK_METHODS))
    parser.add_argument("--here", action="store_true", help="measure one in this process; print")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(peak(given.methods[0])))
        return
    peaks = json.loads(RESULT.read_text())["peaks"] if RESULT.exists() else {}
    for name in given.methods:
        command = [sys.executable, "-m", "benchmarks.claims.memory", "--here", name]
        # Freed memory goes back to the system at once, so that the peak is of what is in use.
        env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        peaks[name] = json.loads(told.stdout)
        print(name, peaks[name], flush=True)
        result = {
            "machine": machine("torch"),
            "states": states(),
            "peak_shape": vars(PEAK_SHAPE) | {"params": PEAK_SHAPE.params},
            "peaks": {name: peaks[name] for name in PEAK_METHODS if name in peaks},
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
