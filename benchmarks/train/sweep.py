"""A sweep of 64 small runs, everything counted, against one compiled loop doing them in turn.

    LEADSMAN_CORPORA=DIR python -m benchmarks.train.sweep

The sweep is what ``leadsman sound`` does with `--layout processes`: start the processes, compile,
train, evaluate and write 64 runs (16 learning rates x 4 seeds). The loop is one process with the
compiled model that does runs one after another, with one thread and with two: `steady` is its rate
while it trains, `counted` its rate over 64 runs with start-up, compilation and evaluation, from
runs it really did (the first one with compilation, the mean of the next ones for the rest). Each
layout has an empty compilation cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora
from benchmarks.train.result import write_result

WIDTH, RUNS, LOOP_RUNS = 64, 64, 5


def design(corpora: Corpora, tokens: int) -> list:
    """64 recipes of one shape."""
    from leadsman.train.defaults import shape_of_width

    shape = shape_of_width(WIDTH, vocab_size=2048, seq_len=256)
    return [
        replace(corpora.recipe(shape, tokens, seed=number % 4), lr=0.002 * 1.1 ** (number // 4))
        for number in range(RUNS)
    ]


def child(options: argparse.Namespace) -> None:
    """Do the sweep, or some runs in one loop; print the seconds of each finished run."""
    from leadsman.engine import LocalEngine
    from leadsman.train.ladder import run_trunk, train_ladder
    from leadsman.train.layout import Layout, lay_out

    corpora = Corpora(options.data)
    places: dict[str, Any] = {
        "sources": corpora.sources,
        "held_out": corpora.held_out,
        "ledger": f"{options.out}/ledger",
        "work": f"{options.out}/work",
    }
    recipes = design(corpora, options.tokens)
    if options.child == "sweep":
        layout = Layout("processes", workers=2)
        jobs = lay_out(recipes, layout, compiled=True, **places)
        runs = train_ladder(jobs, LocalEngine(2))
        assert all(run.status == "finished" for run in runs), [run.reason for run in runs]
        print(json.dumps({"runs": len(runs), "flops": sum(recipe.flops for recipe in recipes)}))
        return
    layout = Layout("threads", workers=1, threads=int(options.child))
    jobs = lay_out(recipes[:LOOP_RUNS], layout, compiled=True, **places)
    ends, began = [], time.perf_counter()
    for job in jobs:
        run_trunk(job)
        ends.append(time.perf_counter() - began)
    from leadsman.runs import Ledger

    steady = [run.tokens_per_second for run in Ledger(places["ledger"])]
    print(json.dumps({"ends": ends, "steady": max(steady)}))


def timed(mode: str, options: argparse.Namespace) -> tuple[float, dict]:
    """Wall-clock seconds of a child process, from nothing to its end, and what it printed."""
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as cache:
        arguments = ["--child", mode, "--out", out, "--data", options.data]
        arguments += ["--tokens", str(options.tokens)]
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.train.sweep", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Time the sweep and both loops, print one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=229_376, help="of each run")
    parser.add_argument("--data", default="/tmp/leadsman-train-data")
    parser.add_argument("--out", default="")
    parser.add_argument("--child", default="")
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    corpora = Corpora(options.data)
    total = RUNS * options.tokens
    loops = {}
    for threads in ("1", "2"):
        seconds, told = timed(threads, options)
        later = (told["ends"][-1] - told["ends"][0]) / (LOOP_RUNS - 1)
        start = seconds - told["ends"][-1]
        whole = start + told["ends"][0] + (RUNS - 1) * later
        loops[f"{threads} threads"] = {
            "steady": round(told["steady"]),
            "counted": round(total / whole),
            "seconds_for_64": round(whole, 1),
            "start_and_first_run": round(start + told["ends"][0], 1),
            "each_further_run": round(later, 2),
        }
        print(loops, file=sys.stderr, flush=True)
    seconds, _ = timed("sweep", options)
    rate = total / seconds
    best_counted = max(loop["counted"] for loop in loops.values())
    best_steady = max(loop["steady"] for loop in loops.values())
    result = machine() | {
        "runs": RUNS,
        "width": WIDTH,
        "params": design(corpora, options.tokens)[0].shape.params,
        "tokens_each": options.tokens,
        "sweep": {"seconds": round(seconds, 1), "tokens_per_second": round(rate)},
        "loop": loops,
        "ratio_to_best_loop_counted": round(rate / best_counted, 3),
        "ratio_to_best_loop_steady": round(rate / best_steady, 3),
    }
    write_result("sweep", result)


if __name__ == "__main__":
    main()
