"""Planted truth: how often intervals of each law's parameters contain the planted value.

Every law with parameters, planted with noise, outliers and settings of which a different 15 % are
lost in each replicate (:mod:`leadsman.testing.planted_cases`). Writes ``results/coverage.json``
after every law, so that it can be stopped and taken up again; ``published.py`` renders it.

    python benchmarks/laws/coverage.py [--replicates 200] [--only chinchilla,kaplan] [--again]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

from leadsman.testing.planted import coverage
from leadsman.testing.planted_cases import CASES

LEVELS = (0.5, 0.8, 0.95)
RESULT = Path(__file__).parent / "results" / "coverage.json"


def main() -> None:
    """Measure the laws not yet measured at this number of replicates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true", help="measure also what is there already")
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    laws = json.loads(RESULT.read_text())["laws"] if RESULT.exists() else {}
    for case in CASES:
        known = laws.get(case.name, {}).get("replicates") == options.replicates
        if (wanted and case.name not in wanted) or (known and not options.again):
            continue
        began = time.perf_counter()
        found = coverage(
            case.equipped(),
            case.design,
            case.theta,
            y=case.y,
            noise=case.noise,
            replicates=options.replicates,
            outliers=case.outliers,
            levels=LEVELS,
        )
        laws[case.name] = {
            "replicates": options.replicates,
            "rows": len(case.design(0)),
            "outliers": case.outliers,
            "noise": case.noise,
            "seconds": round(time.perf_counter() - began, 1),
            "parameters": {name: share.round(3).tolist() for name, share in found.items()},
        }
        print(case.name, laws[case.name], flush=True)
        result = {"levels": LEVELS, "python": platform.python_version(), "laws": laws}
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
