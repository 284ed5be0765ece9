"""Whether fits with exponents shared by groups make forecasts of real tables better.

    python -m benchmarks.laws.shared_exponents --datasets DIR [--keep DIR] [--out FILE]

Every table of the back-test with several groups, and four more made by joining cases of one data
set: the same losses on several corpora (gadre), tasks on one ladder (olmo_ladder), training
settings (porian). Each is forecast as in the back-test from runs up to a tenth of the top compute
(competition and weights, no error model), with and without the shared fits among the candidates.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine

from leadsman.laws.backtest import Case, load_cases
from leadsman.laws.backtest.measure import Measured, measure_all
from leadsman.laws.base import Floats
from leadsman.laws.competition import Block
from leadsman.laws.forecasting import Series, combine, weigh

BY: dict[str, Callable[[str], tuple[str, str]]] = {
    # Name of a case -> group, and the case it becomes a group of.
    "gadre": lambda name: (name.split("/", 1)[0], name.split("/", 1)[1]),
    "gadre_tasks": lambda name: (name.split("/", 1)[0], name.split("/", 1)[1]),
    "olmo_ladder": lambda name: (name, "bpb" if "bpb" in name else "loss"),
    "porian": lambda name: (name, name.split("/", 1)[0]),
}


def joined(cases: Sequence[Case], by: Callable[[str], tuple[str, str]]) -> list[Case]:
    """Cases of one data set as groups of fewer cases."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for case in cases:
        group, rest = by(case.name)
        parts.setdefault(rest, []).append(case.runs.with_columns(member=pl.lit(group)))
    return [
        replace(
            cases[0],
            dataset=f"{cases[0].dataset}, joined",
            name=name,
            runs=pl.concat(runs),
            group="member",
        )
        for name, runs in parts.items()
    ]


def grouped(root: Path) -> list[Case]:
    """The tables with several groups below a tenth of their top compute."""
    found = [case for name, by in BY.items() for case in joined(load_cases(root, only=name), by)]
    found += [case for case in load_cases(root) if case.group is not None]
    return [case for case in found if case.split()[0][case.group].n_unique() > 1]


def only(series: Series, some: np.ndarray) -> Series:
    """The evidence of some candidates."""

    def cut(block: Block) -> Block:
        names = ("log_pred", "spread", "noise", "residual", "change")
        return replace(block, **{name: getattr(block, name)[some] for name in names})

    evidence = series.evidence
    kept = replace(
        evidence,
        names=tuple(np.array(evidence.names)[some]),
        origins=tuple(cut(block) for block in evidence.origins),
        final=cut(evidence.final),
    )
    return replace(series, evidence=kept)


def errors(measured: Measured, series: Sequence[Series]) -> Floats:
    """Absolute error of the combination over the truth at each held-out run."""
    weights = weigh(series)
    found = [
        np.abs(np.exp(combine(each.evidence.final, weights)[0]) / measured.truth[each.rows] - 1)
        for each in series
    ]
    return np.concatenate(found)


def row(measured: Measured) -> dict[str, Any]:
    """Errors without and with shared fits, and the weight these get."""
    series = measured.series
    shared = np.array(["/shared" in name for name in series[0].evidence.names])
    return {
        "dataset": measured.case.dataset,
        "case": measured.case.name,
        "groups": len(series),
        "held_out": measured.held_rows,
        "separate": float(errors(measured, [only(each, ~shared) for each in series]).mean()),
        "competing": float(errors(measured, series).mean()),
        "shared": float(errors(measured, [only(each, shared) for each in series]).mean()),
        "weight": float(weigh(series)[shared].sum()),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", required=True, type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/laws/results/shared_exponents.json")
    )
    options = parser.parse_args()
    measured, left_out = measure_all(
        grouped(options.datasets),
        workers=options.workers,
        keep=options.keep,
        progress=lambda done, total: print(f"{done}/{total}", flush=True),
    )
    cases = pl.DataFrame([row(each) for each in measured])
    sets = cases.group_by("dataset", maintain_order=True).agg(
        pl.len().alias("cases"),
        pl.col("groups").mean(),
        pl.col("held_out").sum(),
        pl.col("separate", "competing", "shared", "weight").mean(),
    )
    print(sets)
    result = {
        "machine": machine("numpy"),
        "sets": sets.to_dicts(),
        "cases": cases.to_dicts(),
        "left_out": left_out,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
