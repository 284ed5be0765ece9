"""What the packings cost: training rate of stream, documents and buckets, compiled, one thread.

    LEADSMAN_CORPORA=DIR python -m benchmarks.train.packing

Width 96, sequence 256, the default batch; the three take turns. Rates are per second of processor
time. Buckets are compiled once a length; the first step of each length is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora
from benchmarks.train.result import write_result

from leadsman.runs import Packing
from leadsman.train.defaults import shape_of_width
from leadsman.train.loop import Trainer

ROUNDS, STEPS, WARM_STEPS = 5, 16, 24


def main() -> None:
    """Time the three, write one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="/tmp/leadsman-train-data")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpora = Corpora(options.data)
    shape = shape_of_width(96, vocab_size=2048, seq_len=256)
    base = corpora.recipe(shape, 1 << 22)
    packings = {
        "stream": Packing(),
        "documents": Packing(name="documents"),
        "buckets": Packing(name="buckets", cycle_tokens=1 << 16, shortest=32),
    }
    trainers, rates = {}, {name: [] for name in packings}
    for name, packing in packings.items():
        recipe = replace(base, packing=packing)
        trainers[name] = Trainer(recipe, corpora.sets, compiled=True)
        trainers[name].advance(recipe, WARM_STEPS)
    for _ in range(ROUNDS):
        for name, trainer in trainers.items():
            began = time.process_time()
            trainer.advance(trainer.recipe, trainer.step + STEPS)
            rates[name].append(STEPS * base.batch_tokens / (time.process_time() - began))
    median = {name: statistics.median(values) for name, values in rates.items()}
    buckets = trainers["buckets"]
    result = machine("torch") | {
        "params": shape.params,
        "tokens_per_second": {name: round(rate) for name, rate in median.items()},
        "relative_to_stream": {
            name: round(rate / median["stream"], 3) for name, rate in median.items()
        },
        "bucket_flops_relative": round(
            buckets.feed.flops(buckets.step) / trainers["stream"].feed.flops(buckets.step), 3
        ),
        "unused_by_buckets": {
            name: round(share, 4) for name, share in buckets.feed.unused().items()
        },
    }
    write_result("packing", result)


if __name__ == "__main__":
    main()
