"""Runs the whole back-test and writes the bundled history, the error model and the report.

    python benchmarks/laws/backtest.py --datasets DIR [--workers 2] [--keep FILE] [--out DIR]

``--keep`` stores the measured cases (the slow part) and reads them when the file is there already.
Writes ``src/leadsman/laws/calibration/{history.parquet,error_model.json}`` and, into ``--out``,
``backtest.json`` and ``backtest.html``.
"""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path

import leadsman.laws.calibration as calibration
from leadsman.laws.backtest.report import print_report, write_report
from leadsman.laws.backtest.suite import assemble, history_of, learn_from, measure_all
from leadsman.laws.backtest.tables import load_cases
from leadsman.laws.calibration import constants


def main() -> None:
    """Measure, learn, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", required=True, type=Path)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/laws/results"))
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        measured, left_out = pickle.loads(options.keep.read_bytes())
    else:
        measured, left_out = measure_all(
            load_cases(options.datasets),
            workers=options.workers,
            progress=lambda done, total: print(f"{done}/{total}", flush=True),
        )
        if options.keep:
            options.keep.write_bytes(pickle.dumps((measured, left_out)))
    history = history_of(measured)
    folder = Path(calibration.__file__).parent
    history.write_parquet(folder / "history.parquet", compression="zstd", compression_level=19)
    model = learn_from(history)
    (folder / "error_model.json").write_text(json.dumps(constants(model), indent=1) + "\n")
    result = assemble(measured, left_out, history)
    print_report(result)
    write_report(result, options.out)


if __name__ == "__main__":
    main()
