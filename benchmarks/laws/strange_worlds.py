"""Coverage where the truth is known and is none of our laws.

    python -m benchmarks.laws.strange_worlds [--replicates 20] [--only NAME,...] [--again]

Every world is a rule of another kind than the laws that compete: terms that cross, wobbles, bumps,
plateaus, schedules cut short, hyperparameters that stop fitting, noise that depends on size, the
best of a sweep kept. Each is drawn anew in every replicate, seen on small runs (``grid``: five
sizes by four tokens-per-parameter ratios, a fifth of them lost; ``ladder``: twelve sizes at one
ratio) and forecast at 3 to 100 times the largest compute, at three ratios (the ladder's own ratio
alone). What comes there is a single run with the noise of its size. Approach 3 with residual noise
stands beside ours. ``results/strange_worlds.json`` is written after every replicate: stop it at any
time and start it again.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from leadsman.laws import forecast_runs
from leadsman.laws.backtest.baselines import chinchilla_baseline
from leadsman.laws.backtest.scores import point_scores

Floats = npt.NDArray[np.float64]
Rule = Callable[[Floats, Floats], Floats]

RESULT = Path(__file__).parent / "results" / "strange_worlds.json"
FURTHER = (3, 10, 30, 100)
SIZES, RATIOS = np.geomspace(1e7, 3e8, 5), np.array([5.0, 20.0, 80.0, 320.0])
ASKED = (10.0, 40.0, 160.0)
NOISE = 0.004


@dataclass(frozen=True)
class World:
    """One drawing of a world.

    Attributes:
        loss: noise-free loss of a run of ``params`` and ``tokens``, each (n,).
        noise: standard deviation of a run's log loss, (n,).
        shown: log of the loss the table gives over that of a run, (n,); what a table of checkpoints
            or of best runs adds.
    """

    loss: Rule
    noise: Rule = lambda n, d: np.full(len(n), NOISE)
    shown: Rule = lambda n, d: np.zeros(len(n))


def chinchilla(rng: np.random.Generator) -> Rule:
    """Hoffmann's law with constants like those that have been published."""
    offset, a, b = rng.uniform(1.5, 2.2), rng.uniform(0.28, 0.4), rng.uniform(0.25, 0.38)
    big, data = rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.2)
    return lambda n, d: offset + big * (n / 1e8) ** -a + data * (d / 2e9) ** -b


def control(rng: np.random.Generator) -> World:
    """Chinchilla's law itself."""
    return World(chinchilla(rng))


def crossed(rng: np.random.Generator) -> World:
    """Two powers of each input and a term of both."""
    base, cross = chinchilla(rng), rng.uniform(0.1, 0.5)
    n2, d2, p, q = rng.uniform(0.05, 0.15, 2).tolist() + rng.uniform(0.1, 0.25, 2).tolist()
    return World(
        lambda n, d: (
            base(n, d)
            + 0.4 * (n / 1e8) ** -n2
            + 0.4 * (d / 2e9) ** -d2
            + cross * (n / 1e8) ** -p * (d / 2e9) ** -q
        )
    )


def wobbling(rng: np.random.Generator) -> World:
    """A wave of one per cent in the log of compute."""
    base, phase, period = chinchilla(rng), rng.uniform(0, 2 * np.pi), rng.uniform(2.5, 6.0)
    return World(lambda n, d: base(n, d) * (1 + 0.01 * np.sin(phase + np.log(n * d) / period * 6)))


def descent(rng: np.random.Generator) -> World:
    """A bump of up to 5 % where tokens are a certain number of times the parameters."""
    base, height = chinchilla(rng), rng.uniform(0.02, 0.05)
    at, width = np.log(rng.uniform(8, 80)), rng.uniform(0.4, 0.9)
    return World(
        lambda n, d: base(n, d) * (1 + height * np.exp(-(((np.log(d / n) - at) / width) ** 2) / 2))
    )


def plateau(rng: np.random.Generator) -> World:
    """Hardly better until a size within the runs, then a steep fall that ends in an offset."""
    middle, steep = rng.uniform(3e7, 2e8), rng.uniform(0.4, 0.7)
    offset, top = rng.uniform(1.2, 2.0), rng.uniform(1.5, 3.0)
    return World(
        lambda n, d: offset + top / (1 + (n / middle) ** 2) ** (steep / 2) + 0.5 * (d / 2e9) ** -0.3
    )


def cut_short(rng: np.random.Generator) -> World:
    """Checkpoints of schedules made for the longest run of a size: too high before its end."""
    excess = rng.uniform(0.02, 0.06)

    def shown(n: Floats, d: Floats) -> Floats:
        longest = np.array([d[n == each].max() for each in n])
        return np.asarray(excess * (1 - (d / longest) ** 0.5))

    return World(chinchilla(rng), shown=shown)


def untuned(rng: np.random.Generator) -> World:
    """Hyperparameters kept from small runs: a loss that grows with the square of the log size."""
    base, share = chinchilla(rng), rng.uniform(0.002, 0.01)
    return World(lambda n, d: base(n, d) * (1 + share * np.maximum(np.log(n / 5e7), 0) ** 2))


def bending(rng: np.random.Generator) -> World:
    """Powers whose exponents fall slowly with size and data."""
    offset, top, bend = rng.uniform(1.2, 2.0), rng.uniform(0.8, 1.6), rng.uniform(0.005, 0.02)
    a, b = rng.uniform(0.2, 0.35, 2)

    def power(x: Floats, exponent: float) -> Floats:
        return np.asarray(np.exp(-exponent * x + bend * np.maximum(x + 3, 0) ** 2))

    def loss(n: Floats, d: Floats) -> Floats:
        x, z = np.minimum(np.log(n / 1e8), 6.0), np.minimum(np.log(d / 2e9), 6.0)
        return np.asarray(offset + 0.5 * top * power(x, a) + 0.5 * top * power(z, b))

    return World(loss)


def logarithmic(rng: np.random.Generator) -> World:
    """A fall that is even in the log of compute and flattens at a random place (softplus)."""
    slope, end = rng.uniform(0.06, 0.12), rng.uniform(46, 58)
    return World(
        lambda n, d: 1.6 + slope * 2 * np.logaddexp(0, (end - np.log(6 * n * d)) / 2), quiet
    )


def quiet(n: Floats, d: Floats) -> Floats:
    """Noise of 0.2 %."""
    return np.full(len(n), 0.002)


def small_noise(rng: np.random.Generator) -> World:
    """Noise of 4 % at 1e18 FLOPs, falling with the root of the root of compute."""
    return World(chinchilla(rng), lambda n, d: 0.04 * (6 * n * d / 1e18) ** -0.25)


def uneven(rng: np.random.Generator) -> World:
    """Each setting has its own noise, a factor 20 between quiet and loud ones."""
    return World(chinchilla(rng), lambda n, d: NOISE * np.exp(rng.standard_normal(len(n))))


def loud(rng: np.random.Generator) -> World:
    """Noise of 3 % everywhere."""
    return World(chinchilla(rng), lambda n, d: np.full(len(n), 0.03))


def best_of(rng: np.random.Generator) -> World:
    """Small settings were swept 16 times and the best kept, the largest once; noise of 1.5 %."""

    def shown(n: Floats, d: Floats) -> Floats:
        rank = np.argsort(np.argsort(n * d)) / max(len(n) - 1, 1)
        tries = np.maximum(np.round(16 * (1 - rank)), 1).astype(int)
        return np.array([0.015 * rng.standard_normal(k).min() for k in tries])

    return World(chinchilla(rng), lambda n, d: np.where(n * d > 3e19, 0.015, 0.001), shown)


def repeated(rng: np.random.Generator) -> World:
    """Text runs out at 20 to 100 billion tokens; more epochs give less, and no column says so."""
    base, unique = chinchilla(rng), rng.uniform(2e10, 1e11)

    def loss(n: Floats, d: Floats) -> Floats:
        again = np.maximum(d / unique - 1, 0)
        return base(n, np.minimum(d, unique) + unique * 5 * -np.expm1(-again / 5))

    return World(loss)


WORLDS = (
    control,
    crossed,
    wobbling,
    descent,
    plateau,
    cut_short,
    untuned,
    bending,
    logarithmic,
    small_noise,
    uneven,
    loud,
    best_of,
    repeated,
)


SAME_AS_CONTROL = {("cut_short", "ladder"), ("descent", "ladder")}
"""One run a size and one ratio: nothing of these worlds is seen."""


def settings(design: str, rng: np.random.Generator) -> pl.DataFrame:
    """Runs that are made."""
    if design == "ladder":
        sizes = np.geomspace(5e6, 3e8, 12)
        return pl.DataFrame({"params": sizes, "tokens": 20 * sizes})
    params, ratios = (each.ravel() for each in np.meshgrid(SIZES, RATIOS))
    kept = np.sort(rng.permutation(len(params))[: len(params) * 4 // 5])
    return pl.DataFrame({"params": params[kept], "tokens": (params * ratios)[kept]})


def asked(design: str, largest: float) -> pl.DataFrame:
    """Points at 3 to 100 times the largest compute."""
    ratios = (20.0,) if design == "ladder" else ASKED
    params = [np.sqrt(largest * far / 6 / ratio) for far in FURTHER for ratio in ratios]
    tokens = [size * ratio for size, ratio in zip(params, ratios * len(FURTHER), strict=True)]
    further = [far for far in FURTHER for _ in ratios]
    return pl.DataFrame({"params": params, "tokens": tokens, "further": further})


def replicate(name: str, design: str, seed: int) -> list[dict[str, Any]]:
    """Scores of both methods at each point."""
    rng = np.random.default_rng([seed, [w.__name__ for w in WORLDS].index(name)])
    world = next(w for w in WORLDS if w.__name__ == name)(rng)
    runs = settings(design, rng)
    n, d = runs["params"].to_numpy(), runs["tokens"].to_numpy()
    noise = world.noise(n, d) * rng.standard_normal(len(n)) + world.shown(n, d)
    runs = runs.with_columns(loss=world.loss(n, d) * np.exp(noise))
    points = asked(design, float((6 * n * d).max()))
    n, d = points["params"].to_numpy(), points["tokens"].to_numpy()
    came = world.loss(n, d) * np.exp(world.noise(n, d) * rng.standard_normal(len(n)))
    found = forecast_runs(runs, points.drop("further"), seed=seed)
    x = ("params", "tokens") if design == "grid" else ("params",)
    rival = chinchilla_baseline(runs, points, x, seed=seed)
    scores = {
        "leadsman": point_scores(found.draws, found.quantile(0.5), came),
        "bootstrap+noise": point_scores(rival.with_noise, rival.centre, came),
    }
    width = np.log(found.quantile(0.975) / found.quantile(0.025))
    return [
        {
            "method": method,
            "further": points["further"][k],
            "log_width_95": round(float(width[k]), 4),
        }
        | {key: round(float(values[k]), 5) for key, values in each.items()}
        for method, each in scores.items()
        for k in range(len(points))
    ]


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    known = (
        []
        if options.again or not options.out.exists()
        else json.loads(options.out.read_text())["rows"]
    )
    done = {(row["world"], row["design"], row["seed"]) for row in known}
    wanted = options.only.split(",") if options.only else [each.__name__ for each in WORLDS]
    for seed in range(options.replicates):
        for name in wanted:
            for design in ("grid", "ladder"):
                if (name, design, seed) in done or (name, design) in SAME_AS_CONTROL:
                    continue
                key = {"world": name, "design": design, "seed": seed}
                known += [key | row for row in replicate(name, design, seed)]
                result = {"python": platform.python_version(), "rows": known}
                options.out.write_text(json.dumps(result) + "\n")
    print(summary(known))


def summary(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Error and coverage by world."""
    return (
        pl.DataFrame(rows)
        .group_by("method", "world", "design", maintain_order=True)
        .agg(
            pl.col("seed").n_unique(),
            (100 * pl.col("error").abs().mean()).alias("mape"),
            (100 * pl.col("error").mean()).alias("bias"),
            *((100 * pl.col(each).mean()).alias(each) for each in ("in50", "in80", "in95")),
            (100 * pl.col("winkler").mean()).alias("winkler"),
            (100 * pl.col("log_width_95").mean()).alias("width"),
        )
        .sort("method", "design")
    )


if __name__ == "__main__":
    main()
