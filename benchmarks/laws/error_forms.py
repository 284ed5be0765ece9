"""Other forms of the error model, tried on the bundled history half by half.

    python -m benchmarks.laws.error_forms [--out FILE]

A form is kept only if it does better within each half of the sources (``halves`` in
``backtest.py``), one source left out at a time: mean log score by data set, and the Winkler score
over the better baseline's. The forms differ in the scale s of an error:

    present           s = level * sqrt(residual^2 + form^2)
    residual free     s = sqrt((r * residual)^2 + (level * form)^2)      r learned
    residual in full  s = sqrt(residual^2 + (level * form)^2)
    own record        s = level * sqrt(residual^2 + form^2) * u
    own form          s = level * sqrt(residual^2 + (u * form)^2)

with form^2 = (spread^2 + disagreement^2 + (c * change)^2) (1 + d)^(2 growth) and u a power
(learned) of how large a table's own errors were at its rolling origins, relative to what s expected
there, shrunk to 1 as if four origins had been as expected.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.laws.backtest import halves
from benchmarks.machine import machine
from scipy.optimize import minimize
from scipy.stats import t as student

from leadsman.laws.base import Floats
from leadsman.laws.calibration import Past, learn, past_errors
from leadsman.laws.calibration.error_model import FEW, LARGEST_CHANGE, LARGEST_Z, LEAST, Parts
from leadsman.laws.calibration.history import COMBINED, bundled_history
from leadsman.laws.calibration.learn import (
    LEVELS,
    PRIOR_SHARE,
    PRIORS,
    RECENCY,
    _quantile,
    _student_through,
    own_by_table,
)

Constants = dict[str, float]
EXTRA = {"residual": (-0.5, 0.5), "power": (0.5, 0.5)}
"""Prior mean and standard deviation of log r and of the power of the own record."""


def form(c: Constants, parts: Parts) -> Floats:
    """The part of the scale that comes from the form of the law, shape (n,)."""
    change = np.exp(c["change_share"]) * np.minimum(np.abs(parts.change), LARGEST_CHANGE)
    squares = parts.spread**2 + parts.disagreement**2 + change**2
    return np.asarray(np.sqrt(squares) * (1 + parts.distance) ** c["growth"])


def present(c: Constants, parts: Parts, own: Floats) -> Floats:
    """As it is."""
    return np.exp(c["level"]) * np.sqrt(parts.residual**2 + form(c, parts) ** 2 + LEAST**2)


def residual_free(c: Constants, parts: Parts, own: Floats) -> Floats:
    """A coefficient of its own for the residual."""
    residual, level = np.exp(c["residual"]), np.exp(c["level"])
    squares = (residual * parts.residual) ** 2 + (level * form(c, parts)) ** 2
    return np.asarray(np.sqrt(squares + LEAST**2))


def residual_full(c: Constants, parts: Parts, own: Floats) -> Floats:
    """A new run scatters as the old ones did."""
    squares = parts.residual**2 + (np.exp(c["level"]) * form(c, parts)) ** 2
    return np.asarray(np.sqrt(squares + LEAST**2))


def own_record(c: Constants, parts: Parts, own: Floats) -> Floats:
    """Narrower where a table's own rolling origins were forecast well."""
    return present(c, parts, own) * own ** (c["power"] / 2)


def own_form(c: Constants, parts: Parts, own: Floats) -> Floats:
    """The same for the error of form alone."""
    squares = parts.residual**2 + (form(c, parts) * own ** (c["power"] / 2)) ** 2 + LEAST**2
    return np.asarray(np.exp(c["level"]) * np.sqrt(squares))


Scale = Callable[[Constants, Parts, Floats], Floats]
FORMS: dict[str, tuple[Scale, tuple[str, ...]]] = {
    "present": (present, ()),
    "residual free": (residual_free, ("residual",)),
    "residual in full": (residual_full, ()),
    "own record": (own_record, ("power",)),
    "own form": (own_form, ("power",)),
}


@dataclass(frozen=True)
class Standardised:
    """Held-out errors about their expectation: in units of their scale, scale, expectation."""

    z: Floats
    scale: Floats
    centre: Floats


def standardise(scale: Scale, c: Constants, past: Past) -> Standardised:
    """Errors of the held-out runs under a form with constants ``c``."""
    tables = 1 + int(max(past.held.table.max(), past.own.table.max(initial=0)))
    ones = np.ones(len(past.own.error))
    # The record is judged by the present form whatever the form, so that it does not feed itself.
    z = np.clip(past.own.error / present(c, past.own.parts, ones), -LARGEST_Z, LARGEST_Z)
    (first, place), (head, member) = past.blocks, past.groups
    count = np.bincount(place)
    table, share = past.own.table[first], past.share[first]
    squares = np.bincount(place, z**2) / count
    weighed = np.bincount(table, share**2 * squares, minlength=tables)
    known = np.bincount(table, share**2, minlength=tables)
    record = (FEW + weighed) / (FEW + known)
    weight = share**RECENCY
    by_group = np.bincount(member, weight * np.bincount(place, z) / count)
    by_group /= np.bincount(member, weight)
    among = np.maximum(np.bincount(table[head], minlength=tables), 1)
    origins = np.bincount(table, minlength=tables)
    mean = np.bincount(table[head], by_group, minlength=tables) / among
    mean *= origins / (origins + FEW)
    held = past.held
    s = scale(c, held.parts, record[held.table])
    centre = c["bias"] * mean[held.table] * s
    return Standardised((held.error - centre) / s, s, centre)


def most_likely(scale: Scale, extra: tuple[str, ...], past: Past) -> Constants:
    """Constants that maximise the likelihood of the held-out errors, with weak priors."""
    priors = PRIORS | {name: EXTRA[name] for name in extra}
    means, spreads = (np.array(column) for column in zip(*priors.values(), strict=True))

    def named(vector: Floats) -> Constants:
        return dict(zip(priors, (float(each) for each in means + spreads * vector), strict=True))

    def cost(vector: Floats) -> float:
        c = named(vector)
        found = standardise(scale, c, past)
        dof = float(np.clip(np.exp(c["log_dof"]), 1.5, 30.0))
        density = student.logpdf(found.z, dof) - np.log(found.scale)
        return float(-past.weight @ density + PRIOR_SHARE * 0.5 * vector @ vector)

    start = np.zeros(len(priors))
    return named(minimize(cost, start, method="BFGS", options={"gtol": 3e-2, "maxiter": 30}).x)


def judge(
    name: str, sources: list[str], history: pl.DataFrame, rivals: dict[str, float]
) -> dict[str, Any]:
    """A form within one half: each source forecast with constants of the others there."""
    scale, extra = FORMS[name]
    rows = history.filter(pl.col("source").is_in(sources))
    past = past_errors(rows)
    found, weights = {}, {}
    for source in sources:
        c = most_likely(scale, extra, past.where(source, other=True))
        found[source] = standardise(scale, c, past.where(source, other=False))
        weights[source] = past.where(source, other=False).weight
    scores, ratios, inside = [], [], []
    for source in sources:
        others = [each for each in sources if each != source]
        sizes = np.abs(np.concatenate([found[each].z for each in others]))
        weight = np.concatenate([weights[each] for each in others])
        widen, dof = _student_through([_quantile(sizes, weight, level) for level in LEVELS])
        mine, error = found[source], past.where(source, other=False).held.error
        s = mine.scale * np.exp(widen)
        density = student.logpdf((error - mine.centre) / s, dof) - np.log(s)
        winkler, covered = interval_score(mine.centre, student.ppf(0.975, dof) * s, error)
        inside.append(covered)
        held = rows.filter((pl.col("source") == source) & (pl.col("origin") < 0))
        names = held["dataset"].to_numpy()
        for dataset in dict.fromkeys(names):
            some = names == dataset
            scores.append(np.average(density[some], weights=weights[source][some]))
            ratios.append(winkler[some].mean() / rivals[dataset])
    return {
        "log_score": float(np.mean(scores)),
        "winkler_over_rival": float(np.exp(np.mean(np.log(ratios)))),
        "winkler_better": int(np.sum(np.array(ratios) < 1)),
        "sets": len(ratios),
        "covered_95": float(np.concatenate(inside).mean()),
    }


def widths(history: pl.DataFrame, rivals: dict[str, float]) -> dict[str, Any]:
    """How wide intervals should have been, set by set, and whether own origins could have told.

    For each data set, with constants learned without its source: the Winkler score over the better
    baseline's, the factor on the scale that would have been best, and the ratio then. Then the
    correlation, between tables, of the root mean square of standardised errors at a table's own
    origins with that of its held-out errors (both logged).
    """
    past = past_errors(history)
    names = history.filter(pl.col("origin") < 0)["dataset"].to_numpy()
    factors = np.exp(np.linspace(-2.0, 1.5, 71))
    sets, sizes = {}, []
    for source in dict.fromkeys(past.held.source):
        model = learn(past.where(source, other=True))
        some = past.held.source == source
        held, reach = past.held.take(some), student.ppf(0.975, model.dof)
        s = model.scale(held.parts)
        centre = model.bias * own_by_table(model, past)[held.table] * s
        for dataset in dict.fromkeys(names[some]):
            mine = names[some] == dataset
            scores = np.array(
                [
                    interval_score(centre[mine], k * reach * s[mine], held.error[mine])[0].mean()
                    for k in (1.0, *factors)
                ]
            )
            best = int(np.argmin(scores[1:]))
            sets[dataset] = {
                "winkler_over_rival": scores[0] / rivals[dataset],
                "best_factor": float(factors[best]),
                "winkler_over_rival_then": scores[1 + best] / rivals[dataset],
            }
        z = held.error / s
        own = past.own.error / model.scale(past.own.parts)
        for table in np.unique(held.table):
            before = own[past.own.table == table]
            if len(before):
                sizes.append([np.mean(before**2), np.mean(z[held.table == table] ** 2)])
    correlation = float(np.corrcoef(np.log(np.array(sizes)).T)[0, 1])
    return {"sets": sets, "tables": len(sizes), "correlation": correlation}


def interval_score(centre: Floats, reach: Floats, error: Floats) -> tuple[Floats, Floats]:
    """95 % Winkler score over the truth, and whether the truth was inside; logs, each (n,)."""
    low, high = np.exp(centre - reach - error), np.exp(centre + reach - error)
    outside = np.maximum(low - 1, 0) + np.maximum(1 - high, 0)
    return high - low + 40 * outside, (low <= 1) & (high >= 1)


def main() -> None:
    """Judge every form and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    results = Path("benchmarks/laws/results")
    parser.add_argument("--out", type=Path, default=results / "error_forms.json")
    parser.add_argument("--backtest", type=Path, default=results / "backtest.json")
    options = parser.parse_args()
    history = bundled_history().filter(pl.col("law") == COMBINED)
    rivals: dict[str, float] = {}
    for row in json.loads(options.backtest.read_text())["sets"]:
        if row["method"] != "leadsman":
            rivals[row["dataset"]] = min(row["winkler"], rivals.get(row["dataset"], np.inf))
    found: dict[str, Any] = {}
    for name in FORMS:
        found[name] = {
            half: judge(name, sources, history, rivals) for half, sources in halves().items()
        }
        print(name, found[name], flush=True)
    told = widths(history, rivals)
    print(told)
    result = {"machine": machine("numpy", "scipy"), "forms": found, "widths": told}
    text = json.dumps(result, indent=1)
    options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
