"""Writes the measured parts of docs/backtests.md from the committed results.

    python -m benchmarks.laws.backtest_page [--check]

Parts stand between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; everything else is prose.
``--check`` changes nothing and fails where the page differs from the results.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/laws/results"
PAGE = ROOT / "docs/backtests.md"

Rows = list[dict[str, Any]]


def read(name: str) -> Any:
    """A committed result."""
    return json.loads((RESULTS / name).read_text())


def by_set(results: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Data set -> method -> scores."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in results["sets"]:
        found.setdefault(row["dataset"], {})[row["method"]] = row
    return found


def percent(value: float, digits: int = 0, *, sign: bool = False) -> str:
    """A share in per cent."""
    return f"{100 * value:{'+' if sign else ''}.{digits}f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sets() -> str:
    """One row a data set."""
    results = read("backtest.json")
    best = {row["dataset"]: row["mape"] for row in results["hindsight"]}
    header = "data set|held out|distance|MAPE %|bias %|largest %|covered at 50 / 80 / 95|MAPE boot|"
    header += "covered at 95: boot / +noise|Winkler|Winkler boot / +noise|"
    header += "best single law in hindsight, MAPE %"
    rows = []
    for name, methods in by_set(results).items():
        ours, boot, noise = (methods[each] for each in ("leadsman", "bootstrap", "bootstrap+noise"))
        mark = "**" if ours["winkler"] < min(boot["winkler"], noise["winkler"]) else ""
        rows.append(
            [
                name,
                str(ours["rows"]),
                f"{ours['distance']:.1f}x",
                percent(ours["mape"], 2),
                percent(ours["bias"], 2, sign=True),
                percent(ours["largest"], 1, sign=True),
                " / ".join(percent(ours[each]) for each in ("in50", "in80", "in95")),
                percent(boot["mape"], 2),
                f"{percent(boot['in95'])} / {percent(noise['in95'])}",
                f"{mark}{percent(ours['winkler'], 1)}{mark}",
                f"{percent(boot['winkler'], 1)} / {percent(noise['winkler'], 1)}",
                percent(best[name], 2),
            ]
        )
    return table(header.split("|"), rows)


def bars() -> str:
    """What was promised and what was measured."""
    results = read("backtest.json")
    found = results["bars"]
    ours = {name: methods["leadsman"] for name, methods in by_set(results).items()}
    won, count = round(found["winkler_better_share"] * found["sets"]), found["sets"]
    low = [
        f"{name}, {percent(ours[name]['in95'])} % of {ours[name]['rows']}"
        for name in found["sets_below_80"]
    ]
    of = f"{len(low)} of {found['sets_with_20_rows']}"
    rows = [
        ("coverage of 95 % intervals, pooled", "92-98 %", found["pooled_coverage_95"], 0.92, 0.98),
        ("coverage of 50 % intervals, pooled", "42-58 %", found["pooled_coverage_50"], 0.42, 0.58),
    ]
    lines = [
        [what, wanted, f"{percent(value, 1)} %", verdict(least <= value <= most)]
        for what, wanted, value, least, most in rows
    ]
    lines += [
        [
            "data sets with 20 or more held-out runs below 80 % at 95 %",
            "none",
            f"{of}: {'; '.join(low)}" if low else "none",
            verdict(not low),
        ],
        [
            "mean Winkler score better than both baselines",
            "3/4 of the sets",
            f"{won} of {count}",
            verdict(won >= 0.75 * count),
        ],
        [
            "Winkler score over the better baseline's, geometric mean",
            "-",
            f"{found['winkler_over_rival']:.2f}",
            "",
        ],
        [
            "MAPE against the best single law in hindsight, mean ratio",
            "at most 1.20",
            f"{found['mape_over_best_single']:.2f}",
            verdict(found["mape_over_best_single"] <= 1.2),
        ],
    ]
    return table(["bar", "wanted", "measured", ""], lines)


def verdict(reached: bool) -> str:
    """The last column."""
    return "reached" if reached else "**missed**"


def halves() -> str:
    """How constants learned on one half fare on the other."""
    header = "half|sets|covered at 50|at 95|below 80 %|Winkler better|Winkler ratio|MAPE ratio"
    rows = [
        [
            name,
            str(found["sets"]),
            f"{percent(found['pooled_coverage_50'], 1)} %",
            f"{percent(found['pooled_coverage_95'], 1)} %",
            ", ".join(found["sets_below_80"]) or "none",
            f"{round(found['winkler_better_share'] * found['sets'])} of {found['sets']}",
            f"{found['winkler_over_rival']:.2f}",
            f"{found['mape_over_best_single']:.2f}",
        ]
        for name, found in read("backtest_halves.json")["bars"].items()
    ]
    return table(header.split("|"), rows)


def constants() -> str:
    """The learned constants."""
    file = ROOT / "src/leadsman/laws/calibration/error_model.json"
    found = json.loads(file.read_text())
    names = {"change_share": "log c", "growth": "g", "dof": "nu"}
    said = ", ".join(f"{names.get(name, name)} {value:.4g}" for name, value in found.items())
    return f"The five constants ({said}) are"


def lost() -> str:
    """Sets on which a baseline has the better Winkler score."""
    said = []
    for name, methods in by_set(read("backtest.json")).items():
        best = min(row["winkler"] for method, row in methods.items() if method != "leadsman")
        ratio = methods["leadsman"]["winkler"] / best
        if ratio >= 1:
            said.append(f"{name} ({ratio:.2f})")
    return f"Winkler is lost on {', '.join(said)}; the better baseline's is 1."


def planted() -> str:
    """Coverage where the truth is known."""
    found = read("planted_coverage.json")
    header = ["noise of a run", "covered at 50", "at 95", "width of 95 % intervals"]
    rows = [
        [
            f"{percent(row['noise'], 1)} %",
            f"{percent(row['covered_50'])} %",
            f"{percent(row['covered_95'])} %",
            f"{percent(row['log_width_95'], 1)} %",
        ]
        for row in found["rows"]
    ]
    return f"{table(header, rows)}\n\n{found['replicates']} tables of 4 points each."


def shared() -> str:
    """Errors of grouped tables with and without shared exponents."""
    header = "tables|cases|groups, mean|held out|separate fits|competing|shared fits alone|"
    header += "weight of shared fits"
    rows = [
        [
            found["dataset"],
            str(found["cases"]),
            f"{found['groups']:.0f}",
            str(found["held_out"]),
            *(percent(found[name], 2) for name in ("separate", "competing", "shared")),
            f"{percent(found['weight'])} %",
        ]
        for found in read("shared_exponents.json")["sets"]
    ]
    return table(header.split("|"), rows)


def checkpoints() -> str:
    """Errors with and without checkpoints."""
    found = read("checkpoints.json")["losses"]
    choices = ("finished", "warmed-up", "all", "competing")
    rows = []
    for name in choices:
        error, weight = (
            sum(row[key] for row in found) / len(found) for key in (name, f"{name} weight")
        )
        rows.append([name, percent(error, 2), "" if name == "competing" else f"{weight:.2f}"])
    note = f"Means over {len(found)} evaluation losses, {found[0]['held_out']} held-out runs each."
    return f"{table(['fitted on', 'MAPE %', 'weight'], rows)}\n\n{note}"


def forms() -> str:
    """Forms of the error model that were tried."""
    header = "form|log score A / B|Winkler ratio A / B|Winkler better|covered at 95, A / B"
    rows = []
    for name, found in read("error_forms.json")["forms"].items():
        a, b = found["A"], found["B"]
        won, count = (int(a[key] + b[key]) for key in ("winkler_better", "sets"))
        rows.append(
            [
                name,
                f"{a['log_score']:.3f} / {b['log_score']:.3f}",
                f"{a['winkler_over_rival']:.3f} / {b['winkler_over_rival']:.3f}",
                f"{won} of {count}",
                f"{percent(a['covered_95'])} / {percent(b['covered_95'])} %",
            ]
        )
    return table(header.split("|"), rows)


def widths() -> str:
    """How wide intervals should have been on the sets that are lost, and if that could be known."""
    found = read("error_forms.json")["widths"]
    rows = [
        [
            name,
            f"{row['winkler_over_rival']:.2f}",
            f"{row['best_factor']:.2f}",
            f"{row['winkler_over_rival_then']:.2f}",
        ]
        for name, row in found["sets"].items()
        if row["winkler_over_rival"] > 0.95
    ]
    header = ["set", "Winkler ratio", "best factor on the width", "ratio then"]
    correlation = f"{found['correlation']:+.2f} ({found['tables']} tables)"
    return (
        f"{table(header, rows)}\n\nCorrelation, own origins with the errors to come: {correlation}."
    )


def strange_worlds() -> str:
    """Error and coverage in each world that is none of our laws."""
    found = _strange("world")
    header = ["world", "MAPE %", "bias %", "covered at 50 / 80 / 95", "Winkler"]
    header += ["approach 3: MAPE %", "its 95 % with noise", "Winkler"]
    rows = [_strange_row(name.replace("_", " "), *found[name]) for name in found]
    return table(header, rows)


def strange_reach() -> str:
    """The same by distance beyond the largest run."""
    found = _strange("further")
    header = ["compute", "MAPE %", "bias %", "covered at 50 / 80 / 95", "Winkler"]
    header += ["approach 3: MAPE %", "its 95 % with noise", "Winkler"]
    rows = [_strange_row(f"{far}x", *found[far]) for far in found]
    count = len({(row["world"], row["design"], row["seed"]) for row in _strange_rows()})
    return f"{table(header, rows)}\n\n{count} tables."


def _strange_rows() -> Rows:
    return list(read("strange_worlds.json")["rows"])


def _strange(key: str) -> dict[Any, tuple[Rows, Rows]]:
    """Rows of Leadsman and of the baseline by the value of a column."""
    found: dict[Any, tuple[Rows, Rows]] = {}
    for row in _strange_rows():
        ours = row["method"] == "leadsman"
        found.setdefault(row[key], ([], []))[0 if ours else 1].append(row)
    return found


def _strange_row(name: str, ours: Rows, theirs: Rows) -> list[str]:
    def mean(rows: Rows, key: str, *, size: bool = False) -> float:
        return sum(abs(row[key]) if size else row[key] for row in rows) / len(rows)

    return [
        name,
        percent(mean(ours, "error", size=True), 1),
        percent(mean(ours, "error"), 1, sign=True),
        " / ".join(percent(mean(ours, each)) for each in ("in50", "in80", "in95")),
        percent(mean(ours, "winkler"), 1),
        percent(mean(theirs, "error", size=True), 1),
        percent(mean(theirs, "in95")),
        percent(mean(theirs, "winkler"), 1),
    ]


PARTS: dict[str, Callable[[], str]] = {
    "sets": sets,
    "bars": bars,
    "constants": constants,
    "halves": halves,
    "lost": lost,
    "planted": planted,
    "shared": shared,
    "checkpoints": checkpoints,
    "forms": forms,
    "widths": widths,
    "strange_worlds": strange_worlds,
    "strange_reach": strange_reach,
}


def rendered(text: str) -> str:
    """The page with every measured part written anew."""
    for name, part in PARTS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{PAGE} has no part {begin}")
        block = f"{begin}\n{part()}\n{end}"
        text = pattern.sub(lambda _, block=block: block, text)
    return text


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = PAGE.read_text()
    page = rendered(text)
    if options.check:
        sys.exit(0 if page == text else f"{PAGE} differs from the results; run without --check")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
