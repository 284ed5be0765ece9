"""How fast repeated text loses its worth: the prior of a plan, learned from published runs.

    LEADSMAN_DATASETS=DIR python -m benchmarks.plan.repetition_prior

Learned on the runs of Muennighoff et al. 2023 on C4 (`colpret/datablations_contour_losses.csv`,
7M to 8.7B parameters, 100M to 178B unique tokens): every pair of a run that read its text up to 30
times and a run of the same size and length on fresh text. Chinchilla's law, fitted on the fresh
runs, turns the difference of their losses into fresh tokens. log R* is normal around a line in the
log of unique tokens a parameter; centre, slope and spread, and the scale of the noise of a
difference (Student's t, four degrees of freedom), maximise the likelihood, R* integrated out.

Checked on their runs on OSCAR, which it has not seen: for each pair, the decay that its loss shows
in standard deviations of the prior. The same is asked of pairs read 31 to 60 times, where losses
rise again and the form can only say that nothing more is gained.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine
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


def gaps(law: FittedLaw, pairs: pl.DataFrame, worth: Floats) -> Floats:
    """Log loss of tokens worth so many passes over that of as many fresh ones, shape (n, k)."""
    shape = worth.shape
    plain = {
        "params": np.repeat(pairs["params"].to_numpy(), shape[1]),
        "tokens": (worth * (pairs["tokens"] / pairs["passes"]).to_numpy()[:, None]).ravel(),
    }
    logs = np.log(law.curve(pl.DataFrame(plain))).reshape(shape)
    return np.asarray(logs - np.log(law.curve(pairs))[:, None])


def learn(law: FittedLaw, pairs: pl.DataFrame) -> tuple[DecayPrior, float]:
    """The prior, and the scale of the noise of a log difference of losses."""
    passes = pairs["passes"].to_numpy()[:, None]
    table = gaps(law, pairs, saturate(np.ones_like(passes), passes, np.exp(GRID)))
    place = np.log(pairs["ratio"].to_numpy() / RATIO)
    shown, weights = pairs["gap"].to_numpy()[:, None], norm.pdf(WORLDS) / norm.pdf(WORLDS).sum()

    def surprise(asked: Floats) -> float:
        centre, slope, spread, noise = asked[0], asked[1], np.exp(asked[2]), np.exp(asked[3])
        logs = (centre + slope * place)[:, None] + spread * WORLDS
        told = np.stack([np.interp(own, GRID, row) for own, row in zip(logs, table)])
        return -float(np.log(t.pdf((shown - told) / noise, FREEDOM) @ weights / noise).sum())

    start = np.array([3.0, 0.3, 0.0, np.log(0.004)])
    options = {"maxiter": 4000, "xatol": 1e-4, "fatol": 1e-5}
    found = minimize(surprise, start, method="Nelder-Mead", options=options)
    centre, slope, spread, noise = found.x
    return DecayPrior(float(centre), float(slope), float(np.exp(spread))), float(np.exp(noise))


def check(law: FittedLaw, pairs: pl.DataFrame, prior: DecayPrior, noise: float) -> dict[str, Any]:
    """How many gaps lie within the prior's intervals, the noise of a difference included."""
    rng = np.random.default_rng(0)
    passes = pairs["passes"].to_numpy()[:, None]
    constant = prior.constant(pairs["ratio"].to_numpy()[:, None], rng.standard_normal(4000))
    told = gaps(law, pairs, saturate(np.ones_like(passes), passes, constant))
    told = told + noise * rng.standard_t(FREEDOM, told.shape)
    rank = (told < pairs["gap"].to_numpy()[:, None]).mean(axis=1)
    return {
        "pairs": len(pairs),
        "inside_80": int(((rank > 0.1) & (rank < 0.9)).sum()),
        "inside_95": int(((rank > 0.025) & (rank < 0.975)).sum()),
        "worse_than_80": int((rank >= 0.9).sum()),
        "better_than_80": int((rank <= 0.1).sum()),
    }


def main() -> None:
    """Learn, check, write one JSON."""
    runs, other = c4(), oscar()
    law = Chinchilla().fit(runs.filter((pl.col("passes") == 1) & (pl.col("loss") < 4.5)))
    pairs = pairs_of(runs, LEAST_PASSES, MOST_PASSES)
    prior, noise = learn(law, pairs)
    # The slope of OSCAR's loss in tokens is taken from C4: its fresh runs are three.
    unseen = pairs_of(other, LEAST_PASSES, MOST_PASSES)
    sizes = pairs["params"].unique().sort().to_list()
    halves = {"up to 1B": pl.col("params") < 1e9, "above 1B": pl.col("params") >= 1e9}
    result = machine("leadsman", "numpy", "scipy") | {
        "prior": {"centre": prior.centre, "slope": prior.slope, "spread": prior.spread},
        "constant_at_20_tokens_a_parameter": float(np.exp(prior.centre)),
        "noise": noise,
        "sizes": len(sizes),
        "c4": check(law, pairs, prior, noise),
        "by_size": {name: check(law, pairs.filter(rows), prior, noise)
                    for name, rows in halves.items()},
        "oscar": check(law, unseen, prior, noise),
        "c4_31_to_60_passes": check(law, pairs_of(runs, MOST_PASSES, FAR_PASSES), prior, noise),
    }  # fmt: skip
    result["as_in_the_code"] = bool(
        np.allclose([PRIOR.centre, PRIOR.slope, PRIOR.spread], list(result["prior"].values()),
                    atol=0.005)
    )  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
