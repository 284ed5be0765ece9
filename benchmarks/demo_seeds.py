"""The demo at several seeds: does the forecast hold, and does selection pay?

    python -m benchmarks.demo_seeds --seeds 0 1 2 3 4 --out DIR     (about 12 minutes a seed)

Each seed is a whole demo (its own text sample, target split, weights and order) in DIR/seed-N;
one that is finished is only read. Results go to demo_seeds.json beside this file.
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


def run_demo(directory: Path, seed: int, minutes: float) -> float:
    """Run one demo to its end; seconds it took now."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "leadsman", "demo", "--out", str(directory)]
    subprocess.run([*command, "--seed", str(seed), "--minutes", str(minutes)], check=True)
    return time.perf_counter() - began


def result_of(directory: Path) -> dict[str, Any]:
    """What one finished demo predicted and gave."""
    ledger = Ledger(str(directory / "work/ledger"))
    plan = json.loads((directory / "work/plan.json").read_text())
    found: dict[str, Any] = {"budget_flops": plan["budget_flops"], "saving": plan["saving"]}
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
            "interval_95": score.forecast.intervals["0.95"],
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
                low, high = r["interval_95"]
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
    seconds, results = {}, {}
    for seed in options.seeds:
        directory = options.out / f"seed-{seed}"
        if not (directory / "report.html").exists():
            seconds[seed] = round(run_demo(directory, seed, options.minutes), 1)
        results[seed] = result_of(directory)
    told = {
        "machine": machine(*PACKAGES),
        "minutes": options.minutes,
        "seconds": seconds,
        "summary": summary(results),
        "seeds": results,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    print(table(results))
    print(json.dumps(told["summary"], indent=1))


if __name__ == "__main__":
    main()
