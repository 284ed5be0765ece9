"""What a sweep found: losses with their noise, and where more becomes worse.

    loss       nats on the held-out text / its bytes / ln 2                     bits per byte
    noise      standard deviation over seeds
    a - b      mean over seeds of the difference; its standard error from two parts,
               se^2 = var_seeds(a - b) / seeds + var_documents(a - b) / documents

An amount is *worse than a smaller one* if it loses by more than Student's t allows one side of
chance in two hundred, with Welch's degrees of freedom: with few seeds that is many standard
errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from leadsman.select.sweep.design import NEAREST_SOURCE, RANDOM, Arm, SweepDesign, View

Floats = npt.NDArray[np.float64]
CHANCE = 0.005


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
        worse_by, worse_by_se: by how much, bits per byte, and its standard error. Standard errors
            are ``None`` where nothing tells them (one seed, one held-out unit).
    """

    method: str
    view: View
    amount: float
    documents: float
    text_bytes: float
    bpb: float
    seed_sd: float | None
    against_random: float
    against_random_se: float | None
    worse_than: float | None
    worse_by: float
    worse_by_se: float | None


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

    @property
    def views(self) -> tuple[View, ...]:
        """How amounts were compared."""
        return tuple(dict.fromkeys(cell.view for cell in self.cells))

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
        for view in design.views
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
        gain = difference(values, nats[view, RANDOM, amount], sizes)
        cells.append(
            Cell(
                method=method,
                view=view,
                amount=amount,
                documents=float(np.mean([arm["documents"] for arm in arms])),
                text_bytes=float(np.mean([arm["bytes"] for arm in arms])),
                bpb=float(losses.mean()),
                seed_sd=float(losses.std(ddof=1)) if len(losses) > 1 else None,
                against_random=gain.gap,
                against_random_se=_told(gain.error),
                worse_than=worse[0],
                worse_by=worse[1],
                worse_by_se=_told(worse[2]),
            )
        )
    told = {name: value for name, value in facts.items() if name != "unit_bytes"}
    return SweepReport(asdict(design), told, cells, _findings(design, cells, nats, sizes))


@dataclass(frozen=True)
class Difference:
    """How much one arm loses more than another.

    Attributes:
        gap: bits per byte.
        error: its standard error.
        limit: how many standard errors are more than chance.
    """

    gap: float
    error: float
    limit: float

    @property
    def worse(self) -> bool:
        """Whether the first arm is surely worse."""
        return self.gap > self.limit * self.error

    @property
    def better(self) -> bool:
        """Whether the first arm is surely better."""
        return self.gap < -self.limit * self.error


def difference(one: Floats, other: Floats, sizes: Floats) -> Difference:
    """Mean difference of two arms.

    Args:
        one, other: nats, shape (seeds, units); the same seed selects by the same target part.
        sizes: bytes of each unit, shape (units,).
    """
    gaps = _bpb(one, sizes) - _bpb(other, sizes)
    seeds, units = one.shape
    parts = []
    if seeds > 1:
        parts.append((float(gaps.var(ddof=1) / seeds), seeds - 1))
    if units > 1:
        # A ratio of sums: linearised, its residuals are d_i - (sum d / sum b) b_i.
        per_unit = (one - other).mean(axis=0) / math.log(2)
        residuals = per_unit - per_unit.sum() / sizes.sum() * sizes
        parts.append((float(units * residuals.var(ddof=1) / sizes.sum() ** 2), units - 1))
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts)
    if not parts:
        return Difference(float(gaps.mean()), math.inf, 1.0)
    freedom = variance**2 / spread if spread > 0 else math.inf
    limit = float(student.ppf(1 - CHANCE, freedom)) if spread > 0 else 0.0
    return Difference(float(gaps.mean()), math.sqrt(variance), limit)


def _bpb(nats: Floats, sizes: Floats) -> Floats:
    return np.asarray(nats.sum(axis=1) / math.log(2) / sizes.sum())


def _worse_than(
    smaller: Mapping[float, Floats], values: Floats, sizes: Floats
) -> tuple[float | None, float, float]:
    """The best smaller amount, if this one is surely worse."""
    if not smaller:
        return None, 0.0, 0.0
    best = min(smaller, key=lambda amount: smaller[amount].sum())
    found = difference(values, smaller[best], sizes)
    return (best if found.worse else None), found.gap, found.error


def _told(error: float) -> float | None:
    """A standard error for JSON, which has no infinity."""
    return error if math.isfinite(error) else None


def _pm(error: float | None) -> str:
    return "" if error is None else f" ± {error:.4f}"


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
        where = "with everything" if best.amount == 1 else f"at {best.amount:g} of the pool"
        sentence = f"{method}: best {where}, {best.bpb:.4f} bits per byte"
        worse = [cell for cell in later if cell.worse_than is not None]
        if worse:
            last = worse[-1]
            sentence += (
                f"; more is worse: {last.amount:g} loses {last.worse_by:.4f}"
                f"{_pm(last.worse_by_se)} against {last.worse_than:g}"
            )
        elif not later and best.amount < 1:
            sentence += "; more was not tried and may be better still"
        if method != RANDOM and best.amount < 1:
            sentence += f"; {best.against_random:+.4f}{_pm(best.against_random_se)} against random"
        found.append(sentence)
    best = min(own, key=lambda cell: cell.bpb)
    trivial = min(
        (cell for cell in own if cell.method == NEAREST_SOURCE), key=lambda cell: cell.bpb
    )
    if best.method == NEAREST_SOURCE:
        found.append("nothing beats taking the most similar source first")
    elif best.amount == 1:
        found.append("nothing beats taking everything")
    else:
        gap = difference(
            nats["own size", best.method, best.amount],
            nats["own size", NEAREST_SOURCE, trivial.amount],
            sizes,
        )
        verdict = "beats" if gap.better else "is not surely better than"
        found.append(
            f"{best.method} at {best.amount:g} {verdict} the most similar source at its best, "
            f"{trivial.amount:g}: {gap.gap:+.4f}{_pm(_told(gap.error))}"
        )
    return found
