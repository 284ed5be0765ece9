"""What a sweep found: losses with their noise, and where more becomes worse.

    loss       nats on the held-out text / its bytes / ln 2                     bits per byte
    noise      standard deviation over seeds
    a - b      mean over seeds of the difference; its standard error from two parts,
               se^2 = var_seeds(a - b) / seeds + var_documents(a - b) / documents

An amount is *worse than a smaller one* if it loses by more than two standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from leadsman.select.sweep.design import NEAREST_SOURCE, RANDOM, Arm, SweepDesign, View

Floats = npt.NDArray[np.float64]
LIMIT = 2.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method at one amount in one view.

    Attributes:
        method, view, amount: which.
        documents, text_bytes: chosen, mean over seeds.
        bpb: bits per byte of the held-out target, mean over seeds.
        seed_sd: standard deviation over seeds; ``None`` with one seed.
        against_random: bpb less that of *random* at the same amount.
        against_random_se: its standard error.
        worse_than: the smaller amount that is better, if there is one; ``None`` else.
        worse_by, worse_by_se: by how much, bits per byte, and its standard error.
    """

    method: str
    view: View
    amount: float
    documents: float
    text_bytes: float
    bpb: float
    seed_sd: float | None
    against_random: float
    against_random_se: float
    worse_than: float | None
    worse_by: float
    worse_by_se: float


@dataclass(frozen=True)
class SweepReport:
    """What a sweep found.

    Attributes:
        design: what was tried.
        facts: sizes of pool, reference and held-out text.
        cells: one a method, view and amount.
        findings: sentences.
    """

    design: Mapping[str, Any]
    facts: Mapping[str, Any]
    cells: Sequence[Cell]
    findings: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def cell(self, method: str, view: View, amount: float) -> Cell:
        """One of the cells."""
        return next(c for c in self.cells if (c.method, c.view, c.amount) == (method, view, amount))


def summarise(
    design: SweepDesign, results: Mapping[Arm, Mapping[str, Any]], facts: Mapping[str, Any]
) -> SweepReport:
    """From nats on held-out documents to cells and findings.

    Args:
        design: what was tried.
        results: for each arm ``nats`` (one a held-out unit), ``documents`` and ``bytes``.
        facts: see :class:`SweepReport`; ``unit_bytes`` are the sizes of the held-out units.
    """
    sizes = np.asarray(facts["unit_bytes"], np.float64)
    nats = {
        (view, method, amount): np.array(
            [results[Arm(method, seed, view, amount)]["nats"] for seed in range(design.seeds)]
        )
        for view in get_args(View)
        for method in design.all_methods
        for amount in design.all_amounts
    }
    cells = []
    for (view, method, amount), values in nats.items():
        arms = [results[Arm(method, seed, view, amount)] for seed in range(design.seeds)]
        losses = _bpb(values, sizes)
        worse = _worse_than(
            {a: nats[view, method, a] for a in design.all_amounts if a < amount}, values, sizes
        )
        gain, gain_se = difference(values, nats[view, RANDOM, amount], sizes)
        cells.append(
            Cell(
                method=method,
                view=view,
                amount=amount,
                documents=float(np.mean([arm["documents"] for arm in arms])),
                text_bytes=float(np.mean([arm["bytes"] for arm in arms])),
                bpb=float(losses.mean()),
                seed_sd=float(losses.std(ddof=1)) if len(losses) > 1 else None,
                against_random=gain,
                against_random_se=gain_se,
                worse_than=worse[0],
                worse_by=worse[1],
                worse_by_se=worse[2],
            )
        )
    told = {name: value for name, value in facts.items() if name != "unit_bytes"}
    return SweepReport(asdict(design), told, cells, _findings(design, cells, nats, sizes))


def difference(one: Floats, other: Floats, sizes: Floats) -> tuple[float, float]:
    """Mean difference of two arms in bits per byte, and its standard error.

    Args:
        one, other: nats, shape (seeds, units); the same seed selects by the same target part.
        sizes: bytes of each unit, shape (units,).
    """
    gaps = _bpb(one, sizes) - _bpb(other, sizes)
    variance = float(gaps.var(ddof=1) / len(gaps)) if len(gaps) > 1 else 0.0
    units = len(sizes)
    if units > 1:
        # A ratio of sums: linearised, its residuals are d_i - (sum d / sum b) b_i.
        per_unit = (one - other).mean(axis=0) / math.log(2)
        residuals = per_unit - per_unit.sum() / sizes.sum() * sizes
        variance += float(units * residuals.var(ddof=1) / sizes.sum() ** 2)
    return float(gaps.mean()), math.sqrt(variance)


def _bpb(nats: Floats, sizes: Floats) -> Floats:
    return np.asarray(nats.sum(axis=1) / math.log(2) / sizes.sum())


def _worse_than(
    smaller: Mapping[float, Floats], values: Floats, sizes: Floats
) -> tuple[float | None, float, float]:
    """The best smaller amount, if this one is surely worse."""
    if not smaller:
        return None, 0.0, 0.0
    best = min(smaller, key=lambda amount: smaller[amount].sum())
    gap, error = difference(values, smaller[best], sizes)
    return (best if gap > LIMIT * error else None), gap, error


def _findings(
    design: SweepDesign,
    cells: Sequence[Cell],
    nats: Mapping[tuple[View, str, float], Floats],
    sizes: Floats,
) -> list[str]:
    found = []
    own = [cell for cell in cells if cell.view == "own size"]
    for method in design.all_methods:
        mine = [cell for cell in own if cell.method == method]
        best = min(mine, key=lambda cell: cell.bpb)
        later = [cell for cell in mine if cell.amount > best.amount]
        sentence = f"{method}: best at {best.amount:g} of the pool, {best.bpb:.4f} bits per byte"
        worse = [cell for cell in later if cell.worse_than is not None]
        if worse:
            sentence += (
                f"; more is worse: {worse[-1].amount:g} loses {worse[-1].worse_by:.4f} "
                f"± {worse[-1].worse_by_se:.4f}"
            )
        elif not later:
            sentence += "; more was not tried and may be better still"
        if method != RANDOM:
            sentence += (
                f"; {best.against_random:+.4f} ± {best.against_random_se:.4f} against random"
            )
        found.append(sentence)
    best = min(own, key=lambda cell: cell.bpb)
    trivial = min(
        (cell for cell in own if cell.method == NEAREST_SOURCE), key=lambda cell: cell.bpb
    )
    if best.method == NEAREST_SOURCE:
        found.append("nothing beats taking the most similar source whole")
    else:
        gap, error = difference(
            nats["own size", best.method, best.amount],
            nats["own size", NEAREST_SOURCE, trivial.amount],
            sizes,
        )
        verdict = "beats" if gap < -LIMIT * error else "is not surely better than"
        found.append(
            f"{best.method} at {best.amount:g} {verdict} the most similar source at "
            f"{trivial.amount:g}: {gap:+.4f} ± {error:.4f}"
        )
    return found
