"""Measure the rate table of leadsman.train.cost: two processes of one thread, side by side.

    python -m benchmarks.train.rates

Each width trains as the demo does (compiled, default batch, real loop and feed) in both processes
at once. Rates are per second of processor time of the process, which on a machine left alone is
wall-clock time and on a shared one is not disturbed by waiting. Also measured: wall-clock seconds
of the first step (compilation) and the rate of the forward pass alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.train.corpora import random_tokens
from benchmarks.train.result import write_result

WIDTHS = (48, 72, 96, 128, 192, 256)
SECONDS = 5.0


def measure(arguments: tuple[int, str]) -> dict[str, float]:
    """Train one width for a few seconds with one thread."""
    import torch

    from leadsman.runs import Mixture
    from leadsman.train.defaults import default_recipe, shape_of_width
    from leadsman.train.held_out import held_out_loss
    from leadsman.train.loop import Trainer
    from leadsman.train.tokens import TokenSet

    width, path = arguments
    torch.set_num_threads(1)
    shape = shape_of_width(width, vocab_size=2048, seq_len=256)
    recipe = default_recipe(shape, Mixture("m", {"a": 1}), "", 1 << 27, seed=0)
    tokens = TokenSet(path)
    trainer = Trainer(recipe, {"a": tokens}, compiled=True)
    began = time.perf_counter()
    trainer.advance(recipe, 1)
    compile_seconds = time.perf_counter() - began
    rates, began = [], time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start, step = time.process_time(), trainer.step
        trainer.advance(recipe, step + 4)
        rates.append(4 * recipe.batch_tokens / (time.process_time() - start))
    tokens.manifest = tokens.manifest.__class__(**asdict(tokens.manifest) | {"tokens": 32_768})
    start = time.process_time()
    held_out_loss(trainer.model, tokens, bf16=recipe.precision == "bf16")
    evaluation = 32_768 / (time.process_time() - start)
    return {
        "first_step_seconds": compile_seconds,
        "tokens_per_second": statistics.median(rates),
        "gflops": statistics.median(rates) * shape.train_flops_per_token / 1e9,
        "evaluation_gflops": evaluation * shape.forward_flops_per_token / 1e9,
    }


def main() -> None:
    """Measure all widths and print the table as JSON."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    import torch

    from leadsman.train.machine_speed import probe_tokens_per_second
    from leadsman.train.provenance import device_name

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()
    os.environ["OMP_NUM_THREADS"] = "1"
    path = Path(tempfile.mkdtemp())
    random_tokens(path, vocab_size=2048)
    context = multiprocessing.get_context("spawn")
    table = {}
    for width in WIDTHS:
        with context.Pool(2, maxtasksperchild=1) as pool:
            results = pool.map(measure, [(width, str(path))] * 2, chunksize=1)
        table[str(width)] = {
            name: round(statistics.mean(result[name] for result in results), 1)
            for name in results[0]
        }
        print(width, table[str(width)], file=sys.stderr, flush=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name("cpu"),
        "torch": torch.__version__,
        "processes": 2,
        "threads_each": 1,
        "probe_tokens_per_second": round(probe_tokens_per_second()),
        "widths": table,
    }
    write_result("rates", result)


if __name__ == "__main__":
    main()
