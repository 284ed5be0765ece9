"""The slow part of the back-test: every fit that does not depend on history.

A case is measured once and may be kept on disk; the key is the runs and the code that fits them,
so a stopped back-test goes on where it was, and one after a change of the error model takes
seconds.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

import leadsman.laws as laws
from leadsman.engine import LocalEngine, Progress
from leadsman.errors import DesignError, LeadsmanError
from leadsman.files import Directory
from leadsman.laws.backtest.baselines import chinchilla_baseline
from leadsman.laws.backtest.cases import Case
from leadsman.laws.backtest.scores import point_scores
from leadsman.laws.base import Floats
from leadsman.laws.competition import Evidence
from leadsman.laws.series import Series, gather_series

BASELINES = ("bootstrap", "bootstrap+noise")

_LATER = (
    "__init__.py",
    "forecasting.py",
    "forecast.py",
    "screening.py",
    "unmodelled.py",
    "score_results.py",
    "scores.py",
    "plots.py",
)
"""Files of the room whose change leaves kept measurements valid, beside calibration, report and
suite."""


@dataclass(frozen=True)
class Measured:
    """Everything about one case that does not depend on history.

    Attributes:
        case: the case.
        fit_rows, held_rows: runs seen and held out.
        series: evidence of each group.
        truth: held-out results in the order of the groups' rows, shape (n,).
        baseline: scores of the two baselines by method, each a dict of arrays (n,).
    """

    case: Case
    fit_rows: int
    held_rows: int
    series: tuple[Series, ...]
    truth: Floats
    baseline: dict[str, dict[str, Floats]]


def measure(case: Case) -> Measured | str:
    """Fit a case's candidates and baselines; a sentence if it cannot be forecast."""
    runs, held = case.split()
    if runs.is_empty() or held.is_empty():
        return "fewer than five runs below a tenth of the top compute"
    try:
        series = gather_series(
            runs, held.drop("loss"), y="loss", x=case.x, law="auto", group=case.group, seed=0
        )
    except LeadsmanError as error:
        return str(error)
    truth = held["loss"].to_numpy()
    baseline = _baselines(case, series, truth)
    lean = tuple(replace(s, evidence=_without_fits(s)) for s in series)
    return Measured(case, len(runs), len(held), lean, truth, baseline)


def measure_all(
    cases: Sequence[Case],
    *,
    workers: int = 0,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[Measured], dict[str, str]]:
    """Measure every case; returns those that could be, and why others could not, by name.

    Args:
        cases: what to measure.
        workers: processes; 0 is one a core.
        keep: directory of finished measurements, read and written; files there are pickles: use
            only a directory that is yours.
        progress: called with cases done and cases in all.
    """
    found: dict[int, Measured] = {}
    left_out = {}
    work = partial(_measure_kept, keep=keep)
    for done, ((k, case), result) in enumerate(
        LocalEngine(workers).map(work, list(enumerate(cases)))
    ):
        if isinstance(result, str):
            left_out[f"{case.dataset}/{case.name}"] = result
        else:
            found[k] = result
        if progress is not None:
            progress(done + 1, len(cases))
    return [found[k] for k in sorted(found)], left_out


def _measure_kept(item: tuple[int, Case], *, keep: Path | None) -> Measured | str:
    case = item[1]
    if keep is None:
        return measure(case)
    store = Directory(str(keep))
    name = f"{case.dataset}-{_key(case)}.pickle"
    if store.exists(name):
        kept: Measured | str = pickle.loads(store.read(name))
        return kept
    result = measure(case)
    store.write(name, pickle.dumps(result))
    return result


def _key(case: Case) -> str:
    digest = hashlib.blake2b(_code(), digest_size=12)
    digest.update(repr((case.source, case.dataset, case.name, case.x, case.group)).encode())
    digest.update(case.runs.write_csv().encode())
    return digest.hexdigest()


@cache
def _code() -> bytes:
    """Digest of the code that measures."""
    room = Path(laws.__file__).parent
    digest = hashlib.blake2b()
    for file in sorted(room.rglob("*.py")):
        place = file.relative_to(room)
        if place.name in (*_LATER, "report.py", "suite.py") or "calibration" in place.parts:
            continue
        digest.update(str(place).encode() + file.read_bytes())
    return digest.digest()


def _baselines(case: Case, series: Sequence[Series], truth: Floats) -> dict[str, dict[str, Floats]]:
    x = tuple(name for name in case.x if name != "unique_tokens")[:2]
    parts: dict[str, list[tuple[Series, dict[str, Floats]]]] = {name: [] for name in BASELINES}
    for each in series:
        mine = truth[each.rows]
        try:
            base = chinchilla_baseline(each.runs, each.points, x)
        except DesignError:
            # As a practitioner would with too few runs: the last result, without an interval.
            last = float(each.runs["loss"].to_numpy()[-1])
            centre = np.full(len(mine), last)
            still = np.broadcast_to(centre, (2, len(mine)))
            for name in BASELINES:
                parts[name].append((each, point_scores(still, centre, mine)))
            continue
        for name, draws in zip(BASELINES, (base.bootstrap, base.with_noise), strict=True):
            parts[name].append((each, point_scores(draws, base.centre, mine)))
    out: dict[str, dict[str, Floats]] = {}
    for method, found in parts.items():
        out[method] = {}
        for name in found[0][1]:
            values = np.empty(len(truth))
            for each, scores in found:
                values[each.rows] = scores[name]
            out[method][name] = values
    return out


def _without_fits(series: Series) -> Evidence:
    """Fitted laws hold whole problems and are not needed again."""
    return replace(series.evidence, fitted=(None,) * len(series.evidence.names))
