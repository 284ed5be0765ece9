"""``docs/claims.md`` of what the scripts beside this one measured.

    python -m benchmarks.claims.page [--check]

Verdicts follow from the numbers by the rules that the page states. ``--check`` fails if the page is
not what the results give.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.claims.design import CONTENDERS, Contender

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "claims.md"
NEAR = 0.01
"""Relative difference of losses within which two are close."""

STUDENT_95 = {2: 12.71, 3: 4.30}
"""Two-sided 95 % bounds of Student's t for the mean of so many differences."""

HEAD = """# Claims of training methods, and what they gave here

Made by `benchmarks/claims/page.py` from `pretraining.json` and `memory.json` in its `results`.
Negative results stay.

"""
RULES = """
Difference is to AdamW with the same seeds, so the same data order, with a 95 % interval (Student,
{seeds} seeds). Compute is counted from the shapes, over AdamW's at equal tokens; it is what a
method asks for, not what a slow kernel takes. Claims about compute are held against AdamW at that
compute, on fewer tokens at its own best lr. Verdicts: *reproduced* if the interval is below zero
(claims of a lower loss, and claims about compute by the difference at equal compute), or if the
loss is within 1 % of AdamW's or below it (claims of AdamW's loss with less memory or tuning);
*partly* if neither holds but the interval contains zero, or the loss is within 3 %, or the compute
is less and the time is not; else *not at this scale*. An lr marked \\* is the lowest or highest
that was tried; Prodigy is judged at the lr of its claim. Bytes are of the tensors after the first
step, float32, and rates (in processor time) of the first fifty: growing methods start with less
and end with AdamW's, and so does Monarch made dense.
Not measured: OFA, whose claim needs word vectors aligned between languages.

Looked into: made dense, Monarch's training loss rises by 0.06 at the switch, where the optimizer
begins anew with 30 steps of the decay left. Prodigy's estimate of the distance begins at 1e-6 and
has 300 steps to grow: at four times the rate its loss is within 1 % of AdamW's. The laws of the
adaptive shape are fitted to AdamW at widths 32 and 64.
"""


def pretraining(result: dict[str, Any]) -> str:
    """The table of losses."""
    rows = {row["label"]: row for row in result["rows"]}
    base, shape, made = rows["adamw"], result["shape"], result["machine"]
    speed = (result["speed"] or {}).get("tokens_per_second", {})
    lines = [
        "## Loss at equal tokens",
        "",
        f"{made['date']}, {made['cores']} cores of {made['processor']}, Python {made['python']}, "
        f"torch {made['torch']}, pytorch_optimizer {made['pytorch_optimizer']}. One thread, "
        f"float32, not compiled. {shape['params']:,} parameters ({shape['layers']} layers, width "
        f"{shape['width']}, vocabulary {shape['vocab_size']}), {result['tokens']:,} tokens of "
        f"books, PEPs and source code in batches of {result['batch_tokens']}; held-out loss is the "
        f"mean over the three, in nats per token. Four learning rates each, tried with seed 0.",
        "",
        "| method | paper's claim | loss | difference | lr tried (seed 0: loss) | compute "
        "(AdamW's loss at that) | weights, state (kB) | tokens/s | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for contender in CONTENDERS:
        row = rows.get(contender.label)
        if row is None:
            lines.append(f"| {contender.label} | {contender.claim} | not run yet |" + " |" * 6)
            continue
        if "reason" in row:
            lines.append(
                f"| {contender.label} | {contender.claim} | no result: {row['reason']} |"
                + " |" * 5
                + " not at this scale |"
            )
            continue
        rate = speed.get(contender.label)
        slower = bool(rate) and rate < speed["adamw"]
        rival = row["equal_compute_losses"] if contender.kind == "compute" else base["losses"]
        lines.append(
            "| "
            + " | ".join(
                [
                    contender.label,
                    contender.claim,
                    f"{statistics.mean(row['losses']):.4f}",
                    _difference(row["losses"], base["losses"]) if row is not base else "",
                    _trials(contender, row),
                    _compute(row, base),
                    f"{row['weight_bytes'] / 1e3:.0f}, {row['state_bytes'] / 1e3:.0f}",
                    f"{rate / speed['adamw']:.2f} of AdamW's" if rate else "",
                    verdict(contender, row["losses"], rival, slower=slower),
                ]
            )
            + " |"
        )
    return "\n".join(lines) + "\n" + RULES.format(seeds=len(base["losses"]))


def verdict(
    contender: Contender, losses: list[float], base: list[float], *, slower: bool = False
) -> str:
    """What the rules of the page make of the losses.

    >>> better = Contender(label="m", claim="", kind="better")
    >>> verdict(better, [1.9, 1.91, 1.9], [2.0, 2.01, 2.0])
    'reproduced'
    >>> verdict(better, [2.2, 2.21, 2.2], [2.0, 2.01, 2.0])
    'not at this scale'
    >>> verdict(Contender(label="m", claim="", kind="memory"), [2.05, 2.06, 2.05], [2.0, 2.01, 2.0])
    'partly'

    Args:
        contender: whose claim it is.
        losses: by seed.
        base: AdamW's by seed, at equal tokens; at equal compute for claims about compute.
        slower: whether a step takes longer than AdamW's.
    """
    if contender.kind == "baseline":
        return ""
    middle, half = _interval([a - b for a, b in zip(losses, base, strict=True)])
    ratio = middle / statistics.mean(base)
    if contender.kind in ("better", "compute"):
        good, partly = middle + half < 0, middle - half <= 0
    else:
        good, partly = ratio <= NEAR, ratio <= 3 * NEAR
    if contender.kind == "compute" and slower:
        good, partly = False, good or partly
    return "reproduced" if good else "partly" if partly else "not at this scale"


def memory(result: dict[str, Any]) -> str:
    """The tables of bytes."""
    made, shape = result["machine"], result["peak_shape"]
    lines = [
        "## Memory at the papers' sizes",
        "",
        "Optimizer state against AdamW's two moments (float32), from the methods' formulas, which "
        "the tests hold to the bytes of real tensors; sizes and ranks are those of GaLore's "
        "experiments. GaLore's paper tells up to 65.5 % less state, SLTrain's up to 73 % less "
        "memory at 7B with 8-bit moments and updates layer by layer, which are not done here.",
        "",
        "| model | rank | GaLore state | DCT state | SLTrain params | low-rank params |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["states"]:
        lines.append(
            f"| {row['size']} | {row['rank']} | {-row['galore']['saved']:.1%} | "
            f"{-row['dct']['saved']:.1%} | {row['sltrain']['params'] / 1e6:.0f}M | "
            f"{row['low_rank']['params'] / 1e6:.0f}M |"
        )
    lines += [
        "",
        f"Measured, {made['date']}, torch {made['torch']}: three steps of a model of "
        f"{shape['params'] / 1e6:.0f}M parameters (width {shape['width']}, {shape['layers']} "
        f"layers, 64 tokens a step), rank 256, Monarch with 4 blocks. Peak is what the process's "
        f"largest resident size gained, gradients, activations and the first SVDs included.",
        "",
        "| method | weights (MB) | optimizer state (MB) | state | peak (MB) | peak |",
        "|---|---|---|---|---|---|",
    ]
    base = result["peaks"]["adamw"]
    for name, row in result["peaks"].items():
        state = row["state_bytes"] / base["state_bytes"] - 1
        peak = row["peak_bytes"] / base["peak_bytes"] - 1
        lines.append(
            f"| {name} | {row['weight_bytes'] / 1e6:.0f} | {row['state_bytes'] / 1e6:.0f} | "
            f"{state:+.0%} | {row['peak_bytes'] / 1e6:.0f} | {peak:+.0%} |"
        )
    return "\n".join(lines) + "\n"


def _compute(row: dict[str, Any], base: dict[str, Any]) -> str:
    """Compute over AdamW's at equal tokens, and AdamW's loss at that compute where it is run."""
    alone = row["equal_compute_losses"]
    told = f" ({statistics.mean(alone):.4f})" if alone else ""
    return f"{row['flops'] / base['flops']:.2f}{told}"


def _difference(losses: list[float], base: list[float]) -> str:
    middle, half = _interval([a - b for a, b in zip(losses, base, strict=True)])
    return f"{middle:+.4f} ± {half:.4f} ({middle / statistics.mean(base):+.1%})"


def _interval(differences: list[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval."""
    count = len(differences)
    error = statistics.stdev(differences) / math.sqrt(count)
    return statistics.mean(differences), STUDENT_95[count] * error


def _trials(contender: Contender, row: dict[str, Any]) -> str:
    at_edge = not contender.untuned and row["lr"] in (contender.lrs[0], contender.lrs[-1])
    told = []
    for lr, loss in row["trials"].items():
        text = f"{lr}: {'diverged' if loss is None else f'{loss:.3f}'}"
        if float(lr) == row["lr"]:
            text = f"**{text}**" + (" \\*" if at_edge else "")
        told.append(text)
    return ", ".join(told)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, table in (("pretraining", pretraining), ("memory", memory)):
        file = RESULTS / f"{name}.json"
        missing = f"`python -m benchmarks.claims.{name}` has not been run yet.\n"
        parts.append(table(json.loads(file.read_text())) if file.exists() else missing)
    return "\n".join(parts).replace("\n\n\n", "\n\n").rstrip() + "\n"


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.exit(f"{PAGE} is not what the results give; run python -m benchmarks.claims.page")


if __name__ == "__main__":
    main()
