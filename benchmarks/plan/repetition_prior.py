"""How fast repeated text loses its worth: the prior of a plan, learned from runs on repeated text.

    LEADSMAN_DATASETS=DIR python -m benchmarks.plan.repetition_prior

Learned on two populations of runs, which count alike:

published   Muennighoff et al. 2023 on C4 (`colpret/datablations_contour_losses.csv`, 83M to 8.7B
            parameters): every pair of a run that read its text 1.5 to 30
            times and one of the same size and length on fresh text. Chinchilla's law, fitted on the
            fresh runs, says what loss other amounts of fresh text give.
ours        small models of Leadsman on books (results/repetition.json of
            benchmarks/plan/repetition.py); fresh runs of the same size and text say it directly.

log R* is normal around a line in the log of unique tokens a parameter; centre, slope, spread, and
the scale of the noise of a log difference of losses (Student's t, four degrees of freedom) maximise
the mean likelihood of a pair of each population, R* integrated out.

Checked on what it has not seen: the published runs on OSCAR, small models on source code, and
C4 text that is read 31 to 60 times, where losses rise again and the form can only say that nothing
more is gained. ``published_alone`` is what the published runs say alone, checked on ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq, minimize
from scipy.stats import norm, t

from leadsman.laws.base import FittedLaw, Floats
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.laws.methods.data_constrained import saturate
from leadsman.plan.decision.repetition import PRIOR, RATIO, DecayPrior

MOST_PASSES, FAR_PASSES = 30.0, 60.0
LEAST_PASSES = 1.5
FREEDOM = 4
WORLDS = np.linspace(-4, 4, 161)
GRID = np.linspace(np.log(0.02), np.log(1e4), 400)
Gaps = Callable[[pl.DataFrame, Floats], Floats]
"""Of n pairs: log loss of tokens worth so many passes over that of as many fresh ones, (n, k)."""

MEASURED = Path(__file__).parent / "results/repetition.json"
RESULT = Path(__file__).parent / "results/repetition_prior.json"


def constant_of(passes: float, worth: float) -> float:
    """R* at which so many passes are worth so many fresh ones; infinite where they lose nothing.

    Nothing (0) where they are worth no more than one; not a number where ``worth`` is none.
    """
    if not np.isfinite(worth):
        return float("nan")
    if worth >= passes or worth <= 1:
        return float("inf") if worth >= passes else 0.0
    one, many = np.ones(1), np.full(1, passes)
    return float(brentq(lambda r: float(saturate(one, many, r)[0]) - worth, 1e-3, 1e7))


def c4() -> pl.DataFrame:
    """One row a run: params, tokens, passes, loss."""
    file = Path(os.environ["LEADSMAN_DATASETS"]) / "colpret/datablations_contour_losses.csv"
    return pl.read_csv(file, infer_schema_length=None).select(
        params="num_params", tokens="token_num", passes="epochs", loss="openLM_loss"
    )


def oscar() -> pl.DataFrame:
    """The same of the runs on OSCAR, the last row of each."""
    file = Path(os.environ["LEADSMAN_DATASETS"]) / "colpret/datablations_losses.csv.gz"
    table = pl.read_csv(file, infer_schema_length=None).filter(pl.col("data") == "oscar")
    ends = table.sort("token_num").group_by("num_params", "epochs", maintain_order=True).last()
    return ends.select(
        params=pl.col("num_params").str.strip_suffix("B").cast(pl.Float64) * 1e9,
        tokens=pl.col("token_num").cast(pl.Float64),
        passes=pl.col("epochs").cast(pl.Float64),
        loss="loss",
    )


def pairs_of(runs: pl.DataFrame, least: float, most: float) -> pl.DataFrame:
    """Runs that read their text between ``least`` and ``most`` times, each with a fresh twin."""
    fresh = runs.filter(pl.col("passes") == 1)
    rows = []
    for run in runs.filter(pl.col("passes").is_between(least, most)).iter_rows(named=True):
        near = ((fresh["tokens"] / run["tokens"] - 1).abs() < 0.01) & (
            fresh["params"] == run["params"]
        )
        for twin in fresh.filter(near)["loss"].to_list():
            rows.append(run | {"gap": float(np.log(run["loss"] / twin))})
    return pl.DataFrame(rows).with_columns(
        ratio=pl.col("tokens") / pl.col("passes") / pl.col("params")
    )


def small(text: str) -> tuple[pl.DataFrame, dict[float, PchipInterpolator]]:
    """Pairs of our runs on one text, and by size the log loss over the log of fresh tokens."""
    found = json.loads(MEASURED.read_text())
    fresh, again = (pl.DataFrame(found[key]) for key in ("fresh", "repeated"))
    curves = {}
    for params, part in fresh.filter(pl.col("text") == text).sort("tokens").group_by("params"):
        curves[float(params[0])] = PchipInterpolator(np.log(part["tokens"]), np.log(part["loss"]))
    pairs = again.filter((pl.col("text") == text) & (pl.col("passes") >= LEAST_PASSES))
    gap = [
        np.log(run["loss"]) - float(curves[run["params"]](np.log(run["tokens"])))
        for run in pairs.iter_rows(named=True)
    ]
    return pairs.with_columns(
        pl.col("params", "tokens").cast(pl.Float64),
        gap=pl.Series(gap),
        ratio=pl.col("unique_tokens") / pl.col("params"),
    ), curves


def by_law(law: FittedLaw) -> Gaps:
    """Gaps by a law of fresh runs."""

    def gaps(pairs: pl.DataFrame, worth: Floats) -> Floats:
        plain = {
            "params": np.repeat(pairs["params"].to_numpy(), worth.shape[1]),
            "tokens": (worth * (pairs["tokens"] / pairs["passes"]).to_numpy()[:, None]).ravel(),
        }
        logs = np.log(law.curve(pl.DataFrame(plain))).reshape(worth.shape)
        return np.asarray(logs - np.log(law.curve(pairs))[:, None])

    return gaps


def by_curves(curves: dict[float, PchipInterpolator]) -> Gaps:
    """Gaps by the fresh runs of the same size and text."""

    def gaps(pairs: pl.DataFrame, worth: Floats) -> Floats:
        tokens = np.log(pairs["tokens"].to_numpy())
        unique = tokens - np.log(pairs["passes"].to_numpy())
        return np.stack(
            [
                curves[params](unique[k] + np.log(worth[k])) - curves[params](tokens[k])
                for k, params in enumerate(pairs["params"].to_list())
            ]
        )

    return gaps


def learn(populations: Sequence[tuple[pl.DataFrame, Gaps]]) -> tuple[DecayPrior, float]:
    """The prior, and the scale of the noise of a log difference of losses."""
    asked = []
    for pairs, gaps in populations:
        passes = pairs["passes"].to_numpy()[:, None]
        table = gaps(pairs, saturate(np.ones_like(passes), passes, np.exp(GRID)))
        place = np.log(pairs["ratio"].to_numpy() / RATIO)
        asked.append((place, table, pairs["gap"].to_numpy()[:, None]))
    weights = norm.pdf(WORLDS) / norm.pdf(WORLDS).sum()

    def surprise(x: Floats) -> float:
        centre, slope, spread, noise = x[0], x[1], np.exp(x[2]), np.exp(x[3])
        total = 0.0
        for place, table, shown in asked:
            logs = (centre + slope * place)[:, None] + spread * WORLDS
            told = np.stack([np.interp(own, GRID, row) for own, row in zip(logs, table)])
            likelihood = t.pdf((shown - told) / noise, FREEDOM) @ weights / noise
            total -= float(np.log(likelihood).mean())
        return total

    start = np.array([3.0, 0.3, 0.0, np.log(0.004)])
    options = {"maxiter": 4000, "xatol": 1e-4, "fatol": 1e-7}
    found = minimize(surprise, start, method="Nelder-Mead", options=options)
    centre, slope, spread, noise = found.x
    return DecayPrior(float(centre), float(slope), float(np.exp(spread))), float(np.exp(noise))


def check(pairs: pl.DataFrame, gaps: Gaps, prior: DecayPrior, noise: float) -> dict[str, Any]:
    """How many gaps lie within the prior's intervals, the noise of a difference included."""
    rng = np.random.default_rng(0)
    passes = pairs["passes"].to_numpy()[:, None]
    constant = prior.constant(pairs["ratio"].to_numpy()[:, None], rng.standard_normal(4000))
    told = gaps(pairs, saturate(np.ones_like(passes), passes, constant))
    told = told + noise * rng.standard_t(FREEDOM, told.shape)
    rank = (told < pairs["gap"].to_numpy()[:, None]).mean(axis=1)
    return {
        "pairs": len(pairs),
        "inside_80": int(((rank > 0.1) & (rank < 0.9)).sum()),
        "inside_95": int(((rank > 0.025) & (rank < 0.975)).sum()),
        "worse_than_80": int((rank >= 0.9).sum()),
        "better_than_80": int((rank <= 0.1).sum()),
    }


def plain(prior: DecayPrior, noise: float) -> dict[str, float]:
    """Constants, and the quantiles of R* at 20 unique tokens a parameter."""
    ends = prior.constant(np.full(3, RATIO), np.array([-1.2816, 0.0, 1.2816]))
    return asdict(prior) | {"noise": noise} | dict(zip(("q10", "median", "q90"), ends.tolist()))


def _code(prior: DecayPrior, noise: float) -> dict[str, Any]:
    """The check on our small models of source code, where these were run."""
    texts = {row["text"] for row in json.loads(MEASURED.read_text())["repeated"]}
    if "code" not in texts:
        return {}
    pairs, curves = small("code")
    return {"small models, code": check(pairs, by_curves(curves), prior, noise)}


def main() -> None:
    """Learn, check, write one JSON."""
    runs, other = c4(), oscar()
    fresh = runs.filter((pl.col("passes") == 1) & (pl.col("loss") < 4.5))
    published = by_law(Chinchilla().fit(fresh))
    pairs = pairs_of(runs, LEAST_PASSES, MOST_PASSES)
    books, curves = small("books")
    ours = by_curves(curves)
    prior, noise = learn([(pairs, published), (books, ours)])
    alone, alone_noise = learn([(pairs, published)])
    # The slope of OSCAR's loss in tokens is taken from C4: its fresh runs are three.
    unseen = pairs_of(other, LEAST_PASSES, MOST_PASSES)
    far = pairs_of(runs, MOST_PASSES, FAR_PASSES)
    result = machine("leadsman", "numpy", "scipy") | {
        "prior": plain(prior, noise),
        "seen": {
            "c4": check(pairs, published, prior, noise),
            "small models, books": check(books, ours, prior, noise),
        },
        "unseen": {
            "oscar": check(unseen, published, prior, noise),
            **_code(prior, noise),
            "c4, 31 to 60 passes": check(far, published, prior, noise),
        },
        "published_alone": plain(alone, alone_noise)
        | {
            "small models, books": check(books, ours, alone, alone_noise),
            **_code(alone, alone_noise),
        },
        "as_in_the_code": bool(np.allclose(astuple(PRIOR), astuple(prior), atol=0.005)),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
