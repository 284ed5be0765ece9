"""Runs the whole back-test and writes the bundled history, the error model and the report.

    python -m benchmarks.laws.backtest --datasets DIR [--workers 2] [--keep DIR] [--out DIR]

``--keep`` stores each measured case (the slow part); run again, it goes on where it stopped.
Writes ``src/leadsman/laws/calibration/{history.parquet,error_model.json}`` and, into ``--out``,
``backtest.json``, ``backtest.html`` and ``backtest_halves.json``.

The halves: the sources were split once, by kind, before the present error model was chosen. A form
of the model was kept only if it did better within each half (one source left out at a time) than
the form before it; how a half fares with constants learned on the other half is shown beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import leadsman.laws.calibration as calibration
from leadsman.laws.backtest.measure import Measured, measure_all
from leadsman.laws.backtest.report import bars, print_report, write_report
from leadsman.laws.backtest.suite import assemble, history_of, learn_from
from leadsman.laws.backtest.tables import load_cases
from leadsman.laws.calibration import rounded_constants

KINDS = {
    "tables": ("gadre", "obsscaling", "olmo_ladder", "porian", "routing"),
    "checkpoints": ("datablations", "gpt3", "opt", "pythia", "t5"),
    "single curves": ("finetune", "olmo", "revisiting"),
}
"""Sources by kind of data: finished runs of many sizes, training curves of many sizes, curves in
one input."""


def halves(seed: int = 0) -> dict[str, list[str]]:
    """The sources, dealt by turns from each kind in random order."""
    rng = np.random.default_rng(seed)
    order = [kind[k] for kind in KINDS.values() for k in rng.permutation(len(kind))]
    return {"A": order[::2], "B": order[1::2]}


def score_halves(measured: Sequence[Measured], history: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """The bars of each half, learned within it (one source left out) and learned on the other."""
    split = halves()
    found = {}
    for name, other in (("A", "B"), ("B", "A")):
        mine = [each for each in measured if each.case.source in split[name]]
        for way, sources in (("within", split[name]), (f"from {other}", split[other])):
            result = assemble(mine, {}, history, learn_on=sources)
            found[f"{name} {way}"] = bars(result)
    return found


def main() -> None:
    """Measure, learn, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", required=True, type=Path)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/laws/results"))
    options = parser.parse_args()
    measured, left_out = measure_all(
        load_cases(options.datasets),
        workers=options.workers,
        keep=options.keep,
        progress=lambda done, total: print(f"{done}/{total}", flush=True),
    )
    history = history_of(measured)
    folder = Path(calibration.__file__).parent
    history.write_parquet(folder / "history.parquet", compression="zstd", compression_level=19)
    model = learn_from(history)
    (folder / "error_model.json").write_text(json.dumps(rounded_constants(model), indent=1) + "\n")
    result = assemble(measured, left_out, history)
    print_report(result)
    write_report(result, options.out)
    split = score_halves(measured, history)
    for name, values in split.items():
        print(name, json.dumps(values))
    text = json.dumps({"sources": halves(), "bars": split}, indent=1)
    (options.out / "backtest_halves.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
