"""Replay of decisions on public tables of real runs: what each rule's choice loses.

    LEADSMAN_DATASETS=... python -m benchmarks.plan.replay > benchmarks/plan/results/replay.json
    ... replay.py --case gadre_overtraining openlm    # one case, as JSON lines
    ... replay.py --from FILE                         # assemble such lines

A task is a set of options that were really run, a cheap part of the table that may be seen, and a
result to be minimised. Every rule picks an option; its regret is the option's result less the best
option's. Rules: ``plan`` (the joint draws of leadsman.plan.decision, lowest mean), ``ratio20`` (20
tokens a parameter), ``best_small`` (scale up the best small run), ``classical`` (Chinchilla's
approach 3, or the linear or power-law fit usual for such data, taken at its optimum), ``random``
(the mean option). A rule that says nothing on a set is left out there.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine

from leadsman.errors import LeadsmanError
from leadsman.laws.backtest.tables import load_cases
from leadsman.laws.methods.chinchilla import Chinchilla
from leadsman.plan.decision import BeliefOfRuns, Dimension, Space
from leadsman.plan.decision.early import EarlyBelief
from leadsman.plan.decision.mixtures import MixtureBelief
from leadsman.plan.decision.quality import QualityBelief

ROOT = Path(os.environ.get("LEADSMAN_DATASETS", "."))
SERVED = (0.0, 1e11, 1e12)
BUDGETS = 6
NEAR_BUDGET = 4.0
SEEN = 0.1
WORLDS = 500
SETS, SET_SIZE = 200, 10

Task = dict[str, float]
"""Regret by rule."""


def scale_tasks(table: pl.DataFrame, group: str | None) -> Iterator[Task]:
    """Size and length (and corpus) under budgets that may include serving."""
    table = table.with_columns(train=6 * pl.col("params") * pl.col("tokens"))
    beliefs: dict[int, Any] = {}
    for served in SERVED:
        cost = (table["train"] + 2 * table["params"] * served).to_numpy()
        for budget in cost.max() * np.geomspace(1, 1 / 32, BUDGETS):
            near = (cost <= budget * (1 + 1e-6)) & (cost >= budget / NEAR_BUDGET)
            options = table.filter(pl.Series(near))
            if len(options) < 3:
                continue
            limit = SEEN * float(options["train"].max())
            seen = table.filter(pl.col("train") <= limit)
            options = options.filter(pl.col("train") > limit)
            groups = [None] if group is None else list(options[group].unique())
            enough = all(
                len(seen if g is None else seen.filter(pl.col(group) == g)) >= 6 for g in groups
            )
            if len(options) < 3 or not enough:
                continue
            if len(seen) not in beliefs:
                beliefs[len(seen)] = fit_scale(seen, table, group)
            if beliefs[len(seen)] is not None:
                yield scale_task(seen, options, group, *beliefs[len(seen)])


def fit_scale(seen: pl.DataFrame, table: pl.DataFrame, group: str | None) -> Any:
    """The plan's belief and the classical fits on what is seen."""
    space = {
        name: Dimension(low=float(table[name].min()) * 0.99, high=float(table[name].max()) * 1.01)
        for name in ("params", "tokens")
    }
    if group is not None:
        space[group] = Dimension(choices=tuple(sorted(seen[group].unique())))
    try:
        belief = BeliefOfRuns(seen, Space(space), y="loss", group=group, worlds=WORLDS, seed=0)
        keys = [None] if group is None else sorted(seen[group].unique())
        classical = {
            key: Chinchilla().fit(seen if key is None else seen.filter(pl.col(group) == key))
            for key in keys
        }
    except LeadsmanError as error:
        print(f"  skipped: {error}", file=sys.stderr)
        return None
    return belief, classical


def scale_task(
    seen: pl.DataFrame, options: pl.DataFrame, group: str | None, belief: Any, classical: Any
) -> Task:
    """Regret of each rule's choice among the options."""
    loss = options["loss"].to_numpy()
    best_seen = seen.row(int(seen["loss"].arg_min()), named=True)
    ratio = np.log((options["tokens"] / options["params"]).to_numpy())
    wrong_corpus = (
        np.zeros(len(options)) if group is None
        else 1e6 * (options[group] != best_seen[group]).to_numpy()
    )  # fmt: skip
    spend = 1e-3 * -np.log(options["train"].to_numpy())  # among equals, the larger run

    def nearest(wanted: float) -> int:
        return int((np.abs(ratio - np.log(wanted)) + wrong_corpus + spend).argmin())

    curves = np.empty(len(options))
    for key, law in classical.items():
        rows = np.arange(len(options)) if key is None else np.flatnonzero(
            (options[group] == key).to_numpy())  # fmt: skip
        if len(rows):
            curves[rows] = law.curve(options[rows.tolist()])
    picks = {
        "plan": int(belief.draws(options).mean(axis=0).argmin()),
        "ratio20": nearest(20.0),
        "best_small": nearest(best_seen["tokens"] / best_seen["params"]),
        "classical": int(curves.argmin()),
    }
    regrets = {name: float(loss[row] - loss.min()) for name, row in picks.items()}
    return regrets | {"random": float(loss.mean() - loss.min())}


def gadre(only: str | None = None) -> Iterator[Task]:
    """Three corpora, 11M to 6.9B parameters, eight losses."""
    cases = load_cases(ROOT, only="gadre")
    by_loss: dict[str, list[pl.DataFrame]] = {}
    for case in cases:
        corpus, _, loss = case.name.partition("/")
        by_loss.setdefault(loss, []).append(
            case.runs.select("params", "tokens", "loss", corpus=pl.lit(corpus)).cast(
                {"params": pl.Float64, "tokens": pl.Float64}
            )
        )
    for loss, parts in by_loss.items():
        if only is None or loss == only:
            yield from scale_tasks(pl.concat(parts), "corpus")


def olmo_ladder(only: str | None = None) -> Iterator[Task]:
    """190M to 3B parameters at half to ten times compute-optimal tokens."""
    for case in load_cases(ROOT, only="olmo_ladder"):
        if only is not None and case.name != only:
            continue
        yield from scale_tasks(case.runs.with_columns(pl.col("params").cast(pl.Float64)), None)


def regmix(only: str | None = None) -> Iterator[Task]:
    """Mixtures for a 1B model from 768 runs of 1M; 13 domains and their mean."""
    folder = ROOT / "regmix"
    read = lambda name: pl.read_csv(folder / f"{name}.csv").drop("index")  # noqa: E731
    small = pl.concat([read("train_mixture_1m"), read("test_mixture_1m")])
    small_loss = pl.concat([read("train_pile_loss_1m"), read("test_pile_loss_1m")])
    options, loss = read("test_mixture_1B"), read("test_pile_loss_1B")
    rename = {name: f"mix.{name}" for name in small.columns}
    small, options = small.rename(rename), options.rename(rename)
    scaled = [frame.select(pl.all() / pl.sum_horizontal(pl.all())) for frame in (small, options)]
    small, options = scaled
    for domain in [*loss.columns, "mean"]:
        if only is not None and only != domain:
            continue
        y1 = small_loss.mean_horizontal() if domain == "mean" else small_loss[domain]
        y = (loss.mean_horizontal() if domain == "mean" else loss[domain]).to_numpy()
        belief = MixtureBelief(small.with_columns(loss=y1), y="loss", worlds=200)
        print(f"  {domain} {belief.law} {belief.losses}", file=sys.stderr)
        shares, known = options.to_numpy(), small.to_numpy()
        twin = np.abs(known[None] - shares[:, None]).sum(axis=-1)
        linear = np.linalg.lstsq(known, y1.to_numpy(), rcond=None)[0]
        picks = {
            "plan": int(belief.draws(options).mean(axis=0).argmin()),
            "best_small": int(twin[:, int(y1.arg_min() or 0)].argmin()),
            "best_small_of_options": int(y1.to_numpy()[twin.argmin(axis=1)].argmin()),
            "classical": int((shares @ linear).argmin()),
        }
        yield {n: float(y[k] - y.min()) for n, k in picks.items()} | {
            "random": float(y.mean() - y.min())
        }


def dclm() -> Iterator[Task]:
    """Data sets for a 6.9B model from 412M and 1.4B models; subsets of the 17 run at both."""
    frame = pl.read_csv(ROOT / "dclm_models/DCLM_model_database.csv", infer_schema_length=None)
    billions = (pl.col("tokens") / 1e9).round(0)
    large = frame.filter((pl.col("params") > 6e9) & (billions == 138)).drop_nulls("Core")
    middle = frame.filter(pl.col("params").is_between(1e9, 2e9) & (billions == 29))
    tiny = frame.filter(pl.col("params") < 1e9)
    truth = large.group_by("Dataset").agg(pl.col("Core").mean()).sort("Dataset")
    names = [n for n in truth["Dataset"] if n in set(middle.drop_nulls("Core")["Dataset"])]
    y = np.array([truth.filter(pl.col("Dataset") == n)["Core"][0] for n in names])
    cheap = [
        part.drop_nulls("Core").select("params", name="Dataset", y=-pl.col("Core"))
        for part in (middle, tiny)
    ]
    belief = QualityBelief(pl.concat(cheap), at=float(large["params"][0]))
    print(f"  reach {belief.reach}", file=sys.stderr)
    quality = belief.draws(pl.DataFrame({"name": names})).mean(axis=0)
    mean = np.array([middle.filter(pl.col("Dataset") == n)["Core"].mean() for n in names])
    rng = np.random.default_rng(0)
    for _ in range(SETS):
        rows = rng.choice(len(names), size=min(SET_SIZE, len(names)), replace=False)
        best = y[rows].max()
        yield {
            "plan": float(best - y[rows][quality[rows].argmin()]),
            "best_small": float(best - y[rows][mean[rows].argmax()]),
            "random": float(best - y[rows].mean()),
        }


def peft() -> Iterator[Task]:
    """Adapters from the first fifth of their steps; 10 candidates, the others are history."""
    raw = json.loads((ROOT / "peft_comparison/peft_results_history.json").read_text())
    runs: dict[str, list[dict[str, Any]]] = {}
    for each in raw:
        if each["status"] == "success" and len(each.get("traj") or []) > 10:
            runs.setdefault(each["exp"], []).append(each)
    names = sorted(runs)
    first = [runs[name][0]["traj"][:4] for name in names]
    loss = np.array([steps[-1][1] for steps in first])
    slope = np.array([steps[-1][1] - steps[1][1] for steps in first])
    accuracy = np.array([steps[-1][2] or 0.0 for steps in first])
    final_loss = np.array([power_law_end(steps) for steps in first])
    score = np.array([np.mean([each["score"] for each in runs[name]]) for name in names])
    table = pl.DataFrame(
        {"log_loss": np.log(loss), "slope": slope, "accuracy": accuracy, "score": score}
    )
    rng = np.random.default_rng(0)
    for _ in range(SETS):
        rows = rng.choice(len(names), size=SET_SIZE, replace=False)
        history = np.setdiff1d(np.arange(len(names)), rows)
        belief = EarlyBelief(
            table[history.tolist()], ("log_loss", "slope", "accuracy"), y="score", worlds=200
        )
        expected = belief.draws(table[rows.tolist()]).mean(axis=0)
        best = score[rows].max()
        picks = {
            "plan": expected.argmax(), "best_small": accuracy[rows].argmax(),
            "best_small_by_loss": loss[rows].argmin(), "classical": final_loss[rows].argmin(),
        }  # fmt: skip
        yield {n: float(best - score[rows][k]) for n, k in picks.items()} | {
            "random": float(best - score[rows].mean())
        }


def power_law_end(steps: list[list[float]], end: float = 5000.0) -> float:
    """Loss at the end of E + A t^-c through the points seen (least squares, c on a grid)."""
    t = np.array([step[0] for step in steps], dtype=float)
    y = np.array([step[1] for step in steps], dtype=float)
    fits = []
    for c in np.linspace(0.1, 1.0, 19):
        design = np.stack([np.ones_like(t), t**-c], axis=1)
        solution = np.linalg.lstsq(design, y, rcond=None)[0]
        fits.append((((design @ solution - y) ** 2).sum(), solution @ [1.0, end**-c]))
    return float(min(fits)[1])


SETS_OF_TASKS = {
    "gadre_overtraining": gadre, "olmo_ladder": olmo_ladder, "regmix": regmix,
    "dclm_models": dclm, "peft_comparison": peft,
}  # fmt: skip


def cases() -> list[tuple[str, str]]:
    """(set, case) of every piece of the replay."""
    gadre_losses = sorted({case.name.partition("/")[2] for case in load_cases(ROOT, only="gadre")})
    ladder = [case.name for case in load_cases(ROOT, only="olmo_ladder")]
    domains = pl.read_csv(ROOT / "regmix/test_pile_loss_1B.csv").drop("index").columns
    return [
        *(("gadre_overtraining", name) for name in gadre_losses),
        *(("olmo_ladder", name) for name in ladder),
        *(("regmix", name) for name in [*domains, "mean"]),
        ("dclm_models", ""),
        ("peft_comparison", ""),
    ]


def one(name: str, case: str) -> list[dict[str, Any]]:
    """Tasks of one case."""
    tasks = SETS_OF_TASKS[name]
    found = tasks(case) if case else tasks()  # type: ignore[operator]
    return [{"set": name, "case": case, **task} for task in found]


def assemble(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean regret of each rule on each set, its standard error over cases, and ratios."""
    result = {}
    for name in SETS_OF_TASKS:
        mine = [row for row in rows if row["set"] == name]
        if not mine:
            continue
        rules = [rule for rule in mine[0] if rule not in ("set", "case")]
        mean = {rule: float(np.mean([row[rule] for row in mine])) for rule in rules}
        result[name] = {
            "cases": len({row["case"] for row in mine}),
            "tasks": len(mine),
            "mean_regret": mean,
            "plan_over_rule": {
                rule: mean["plan"] / mean[rule] if mean[rule] else None
                for rule in rules if rule != "plan"
            },
        }  # fmt: skip
        print(name, len(mine), {k: round(v, 4) for k, v in mean.items()}, file=sys.stderr)
    return result


def main(arguments: list[str]) -> None:
    """Replay; print JSON."""
    warnings.filterwarnings("ignore")
    if arguments[:1] == ["--case"]:
        for row in one(arguments[1], arguments[2]):
            print(json.dumps(row))
        return
    if arguments[:1] == ["--from"]:
        rows = [json.loads(line) for line in Path(arguments[1]).read_text().splitlines()]
    else:
        rows = [row for name, case in cases() for row in one(name, case)]
    facts = machine("numpy", "scipy", "polars", "scikit-learn", "lightgbm", "leadsman")
    print(json.dumps({"machine": facts, "seed": 0, "sets": assemble(rows)}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
