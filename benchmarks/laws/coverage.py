"""Planted truth: how often intervals of each law's parameters contain the planted value.

Every law with parameters, planted with noise, outliers and settings of which a different 15 % are
lost in each replicate (:mod:`leadsman.testing.planted_cases`). Replicate k is the same whenever it
is made, so a law measured on 60 is brought to 200 by the other 140. ``results/coverage.json`` is
written every 20 replicates: stop it at any time and start it again, or run several with different
``--only`` side by side. ``published.py`` renders it.

    python -m benchmarks.laws.coverage [--replicates 200] [--only chinchilla,kaplan] [--again]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from leadsman.testing.planted import coverage
from leadsman.testing.planted_cases import CASES, Case

LEVELS = (0.5, 0.8, 0.95)
RESULT = Path(__file__).parent / "results" / "coverage.json"
PART = 20


def known() -> dict[str, dict[str, Any]]:
    """What is measured so far, by law."""
    return dict(json.loads(RESULT.read_text())["laws"]) if RESULT.exists() else {}


def extended(case: Case, before: dict[str, Any], replicates: int) -> dict[str, Any]:
    """The measurement ``before`` with so many further replicates."""
    done = before.get("replicates", 0)
    began = time.perf_counter()
    found = coverage(
        case.equipped(),
        case.design,
        case.theta,
        y=case.y,
        noise=case.noise,
        replicates=replicates,
        first=done,
        outliers=case.outliers,
        levels=LEVELS,
    )
    total = done + replicates
    shares = {
        name: np.rint(np.array(before.get("parameters", {}).get(name, 0.0)) * done)
        + np.rint(share * replicates)
        for name, share in found.items()
    }
    return {
        "replicates": total,
        "rows": len(case.design(0)),
        "outliers": case.outliers,
        "noise": case.noise,
        "seconds": round(before.get("seconds", 0.0) + time.perf_counter() - began, 1),
        "parameters": {name: (count / total).round(4).tolist() for name, count in shares.items()},
    }


def main() -> None:
    """Measure the laws not yet measured on this number of replicates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [case.name for case in CASES]
    cases = {case.name: case for case in CASES}
    for name in wanted:
        found = {} if options.again else known().get(name, {})
        while (missing := options.replicates - found.get("replicates", 0)) > 0:
            found = extended(cases[name], found, min(PART, missing))
            laws = known() | {name: found}
            result = {"levels": LEVELS, "python": platform.python_version(), "laws": laws}
            RESULT.write_text(json.dumps(result, indent=1) + "\n")
        print(name, found, flush=True)


if __name__ == "__main__":
    main()
