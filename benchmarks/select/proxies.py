"""Whether the n-gram proxy orders methods as the neural one does: two sweeps of one case compared.

    python -m benchmarks.select.proxies NGRAM.json NEURAL.json --out benchmarks/select/results

Both files are written by ``sweep.py`` with the same pool, needle, methods, amounts and seeds. For
each amount: the bits per byte of each method under both proxies, the rank correlation over methods
(Spearman), and of the pairs of methods that the neural proxy tells apart (by two standard
deviations of the difference over seeds), how many the n-gram proxy orders alike.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr


def main() -> None:
    """Write ``proxies.md`` and ``proxies.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ngram", type=Path)
    parser.add_argument("neural", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    sweeps = [json.loads(file.read_text()) for file in (arguments.ngram, arguments.neural)]
    found: dict[str, Any] = {"machine": sweeps[1]["machine"]}
    text = ["# The n-gram and the neural proxy\n"]
    for name in sorted(set(sweeps[0]) & set(sweeps[1]) - {"machine"}):
        found[name] = compare(sweeps[0][name], sweeps[1][name])
        text.append(f"## {name}\n\n{table(found[name])}")
    (arguments.out / "proxies.json").write_text(json.dumps(found, indent=1) + "\n")
    (arguments.out / "proxies.md").write_text("\n".join(text))
    print("\n".join(text))


def compare(ngram: dict[str, Any], neural: dict[str, Any]) -> dict[str, Any]:
    """The cells that both have, and how far their orders agree."""
    one, two = (
        {
            (cell["amount"], cell["method"]): (cell["bpb"], cell["seed_sd"] or 0.0)
            for cell in sweep["cells"]
            if cell["view"] == "own size"
        }
        for sweep in (ngram, neural)
    )
    amounts: dict[str, Any] = {}
    for amount in sorted({amount for amount, _ in set(one) & set(two)}):
        methods = [m for a, m in one if a == amount and (a, m) in two]
        # Everything is the same for every method.
        if amount == 1:
            continue
        alike, told = 0, 0
        for a, b in itertools.combinations(methods, 2):
            (x, sx), (y, sy) = two[amount, a], two[amount, b]
            if abs(x - y) > 2 * (sx**2 + sy**2) ** 0.5:
                told += 1
                alike += (x < y) == (one[amount, a][0] < one[amount, b][0])
        values = [[sweep[amount, m][0] for m in methods] for sweep in (one, two)]
        amounts[f"{amount:g}"] = {
            "spearman": float(spearmanr(*values).statistic),
            "pairs_told_apart": told,
            "pairs_alike": alike,
            "methods": {m: {"ngram": one[amount, m], "neural": two[amount, m]} for m in methods},
        }
    seconds = {"ngram": ngram["seconds"], "neural": neural["seconds"]}
    return {"seconds": seconds, "facts": neural["facts"], "amounts": amounts}


def table(found: dict[str, Any]) -> str:
    """One row a method, one pair of columns an amount."""
    amounts = found["amounts"]
    methods = list(next(iter(amounts.values()))["methods"])
    lines = [
        "| method | " + " | ".join(f"{a}, n-gram | {a}, neural" for a in amounts) + " |",
        "|" + "---|" * (1 + 2 * len(amounts)),
    ]
    for method in methods:
        cells = [
            f"{mean:.3f} ± {sd:.3f}"
            for a in amounts
            for mean, sd in (amounts[a]["methods"][method][p] for p in ("ngram", "neural"))
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lines.append("")
    for a, values in amounts.items():
        lines.append(
            f"- {a}: Spearman {values['spearman']:.2f}; of {values['pairs_told_apart']} pairs that "
            f"the neural proxy tells apart, {values['pairs_alike']} in the same order"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
