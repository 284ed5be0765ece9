"""The bars of training as a table, from the committed results: `make bench ARGS=train/table`."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.train.result import RESULTS


def read(name: str) -> dict[str, Any] | None:
    """A committed result; ``None`` if it was never measured."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def rows() -> list[tuple[str, str, str, str]]:
    """Bar, what was asked, what was measured, whether it holds."""
    table = []

    def add(bar: str, asked: str, measured: str, holds: bool | None) -> None:
        verdict = {True: "holds", False: "missed", None: ""}[holds]
        table.append((bar, asked, measured, verdict))

    if sweep := read("sweep"):
        counted = sweep["ratio_to_best_loop_counted"]
        told = f"{sweep['sweep']['tokens_per_second']:,} tokens/s, {sweep['tokens_each']:,} each"
        add(
            "64 proxies of 0.2M, all counted, to the best loop, all counted",
            ">= 1.1",
            f"{counted} ({told})",
            counted >= 1.1,
        )
        steady = sweep["ratio_to_best_loop_steady"]
        add("the same to that loop's steady rate", ">= 1.1", f"{steady}", steady >= 1.1)
    if peers := read("vs_transformers"):
        ratio = peers["ratio_to_best_transformers"]
        add("one 3M run to the best of transformers", ">= 1", f"{ratio}", ratio >= 1)
    if branching := read("branching"):
        share = branching["tokens"]["ratio"]
        add("tokens of 5 x 6 by branching", "<= 45 %", f"{share:.1%}", share <= 0.45)
        times = branching["processor_seconds"]
        add("their processor time", "", f"{times['branched'] / times['separate']:.1%}", None)
        by_halves = branching["ratio_if_counts_go_by_halves"]
        add("the same, counts by halves", "", f"{by_halves:.1%}", None)
        apart = branching["largest_difference_to_separate_decays"]
        add("losses to separate decays", "<= 0.5 %", f"{apart:.3%}", apart <= 0.005)
        add("losses to cosine runs, mean", "", f"{branching['against_cosine']['mean']:+.2%}", None)
    if noise := read("seed_noise"):
        add("seed noise of a loss", "", f"{noise['relative_seed_noise']:.2%}", None)
    if packing := read("packing"):
        for name in ("documents", "buckets"):
            rate = packing["relative_to_stream"][name]
            add(f"training rate with {name}, to the stream", "", f"{rate}", None)
    if memory := read("memory"):
        ratios = [row["ratio"] for row in memory["rows"].values()]
        add("memory estimate to what a process takes", "", f"{min(ratios)} to {max(ratios)}", None)
    if stop := read("stop_margin"):
        for margin, row in stop["margins"].items():
            told = f"{row['saved']:.0%} of compute; best run lost {row['best_run_stopped']:.0%}"
            worse = f"loss given up {row['loss_given_up_mean']:.2%}"
            add(f"stop_margin {margin}, {stop['sweeps']} sweeps", "", f"{told}; {worse}", None)
    return table


def main() -> None:
    """Print the table in Markdown."""
    print("| bar | asked | measured | |\n|---|---|---|---|")
    for row in rows():
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
