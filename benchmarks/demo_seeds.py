"""The demo at several seeds: does the forecast hold, and does selection pay?

    python -m benchmarks.demo_seeds --seeds 0 1 2 3 4 --out DIR     (about 14 minutes a seed)

Each seed is a whole demo (its own text sample, target split, weights and order) in DIR/seed-N.
Stopped at any moment, the same command goes on; one that is finished is only read. After each seed,
what all finished ones in DIR gave is written to demo_seeds.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from leadsman.runs import Ledger

PACKAGES = ("leadsman", "torch", "numpy", "numba", "tokenizers")
MADE = "made.json"
"""In the directory of a finished seed: commit, minutes, and whether it was stopped in between."""
RESULT = Path(__file__).with_suffix(".json")


def run_demo(directory: Path, seed: int, minutes: float) -> None:
    """Run one demo to its end, and note what it took."""
    stopped, began = directory.exists(), time.perf_counter()
    command = [sys.executable, "-m", "leadsman", "demo", "--out", str(directory)]
    subprocess.run([*command, "--seed", str(seed), "--minutes", str(minutes)], check=True)
    took = round((time.perf_counter() - began) / 60, 1)
    made = {"commit": commit(), "minutes": took, "stopped_in_between": stopped}
    (directory / MADE).write_text(json.dumps(made) + "\n")


def commit() -> str:
    """Of this checkout; marked where files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def result_of(directory: Path) -> dict[str, Any]:
    """What one finished demo predicted and gave."""
    ledger = Ledger(str(directory / "work/ledger"))
    plan = json.loads((directory / "work/plan.json").read_text())
    found: dict[str, Any] = json.loads((directory / MADE).read_text())
    found |= {"budget_flops": plan["budget_flops"], "saving": plan["saving"]}
    runs = {run.id: run for run in ledger}
    largest = max(run.recipe.flops for run in runs.values() if run.role == "proxy")
    for score in ledger.track_record():
        run = runs[score.forecast.id]
        found[run.role] = {
            "mixture": run.recipe.mixture.name,
            "params": run.recipe.shape.non_embedding_params,
            "tokens": run.recipe.tokens,
            "compute_over_largest_sounding": run.recipe.flops / largest,
            "forecast": score.forecast.median,
            "intervals": {level: list(ends) for level, ends in score.forecast.intervals.items()},
            "actual": score.actual,
            "relative_error": score.relative_error,
            "inside": dict(score.inside),
            "law": score.forecast.law,
        }
    return found


def summary(results: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Coverage and error over seeds, and the margin of the chosen mixture against seed noise."""
    told: dict[str, Any] = {}
    for role in ("final", "naive"):
        scores = [result[role] for result in results.values() if role in result]
        told[role] = {
            "runs": len(scores),
            "inside_50": sum(score["inside"]["0.5"] for score in scores),
            "inside_80": sum(score["inside"]["0.8"] for score in scores),
            "inside_95": sum(score["inside"]["0.95"] for score in scores),
            "mean_relative_error": float(np.mean([score["relative_error"] for score in scores])),
            "mean_absolute_relative_error": float(
                np.mean([abs(score["relative_error"]) for score in scores])
            ),
        }
    margins = [
        r["naive"]["actual"] - r["final"]["actual"] for r in results.values() if "naive" in r
    ]
    told["bpb_margin_over_natural"] = {
        "each": margins,
        "mean": float(np.mean(margins)),
        "sd_over_seeds": float(np.std(margins, ddof=1)) if len(margins) > 1 else None,
    }
    return told


def table(results: dict[int, dict[str, Any]]) -> str:
    """A Markdown table, one row a real run."""
    lines = [
        "| seed | run | mixture | params | tokens | forecast | 95 % | actual | error | inside |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for seed, result in results.items():
        for role in ("final", "naive"):
            if role in result:
                r = result[role]
                low, high = r["intervals"]["0.95"]
                lines.append(
                    f"| {seed} | {role} | {r['mixture']} | {r['params']:,} | {r['tokens']:,} "
                    f"| {r['forecast']:.4f} | {low:.4f} to {high:.4f} | {r['actual']:.4f} "
                    f"| {100 * r['relative_error']:+.2f} % "
                    f"| {'yes' if r['inside']['0.95'] else 'no'} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for seed in options.seeds:
        directory = options.out / f"seed-{seed}"
        if not (directory / MADE).exists():
            run_demo(directory, seed, options.minutes)
        write_results(options.out, options.minutes)


def write_results(out: Path, minutes: float) -> None:
    """Collect what is finished in a directory, write and print it."""
    done = sorted(
        (int(each.parent.name.removeprefix("seed-")), each.parent)
        for each in out.glob(f"seed-*/{MADE}")
    )
    results = {seed: result_of(directory) for seed, directory in done}
    told = {
        "machine": machine(*PACKAGES),
        "minutes_of_soundings": minutes,
        "summary": summary(results),
        "seeds": results,
    }
    partial = RESULT.with_suffix(".part")
    partial.write_text(json.dumps(told, indent=1) + "\n")
    partial.replace(RESULT)
    print(table(results))
    print(json.dumps(told["summary"], indent=1), flush=True)


if __name__ == "__main__":
    main()
