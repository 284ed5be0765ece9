"""Which margin to give up runs at: sweeps of the learning rate, replayed under the stop rule.

    LEADSMAN_CORPORA=DIR python -m benchmarks.train.stop_margin train --out DIR [--claims LEDGER]
    python -m benchmarks.train.stop_margin replay

``train`` runs 2 sizes x 2 seeds x 8 learning rates (a factor of two apart) to the end, restartable,
and writes all curves to ``results/lr_curves.parquet``, with those of the four learning rates of
every method of ``benchmarks/claims`` (``--claims``: its ledger). ``replay`` walks through each
sweep in several orders as ``leadsman sound`` would with one worker: at a quarter, half and three
quarters of the constant part the rule sees the run so far and the rivals done before. Told by
margin: the share of the compute that is saved, how often the best run of a sweep was given up, and
how much worse the best that is left is.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import polars as pl
from benchmarks.machine import machine
from benchmarks.train.corpora import Corpora
from benchmarks.train.result import RESULTS, write_result

from leadsman.engine import LocalEngine
from leadsman.plan.stopping import LearningCurveStop
from leadsman.runs import Ledger, Recipe, Run
from leadsman.train.defaults import shape_of_width
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.ladder.stopping import QUESTIONS, without_warmup
from leadsman.train.schedule import shared_steps

CURVES = RESULTS / "lr_curves.parquet"
WIDTHS, SEEDS, TOKENS = (32, 64), (0, 1), 245_760
LRS = tuple(0.0005 * 2**k for k in range(8))
MARGINS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
ORDERS = 4


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        lr: its learning rate.
        curve: ``tokens`` and ``loss`` at the constant rate.
        decay_at: tokens at which the decay begins.
        tokens: of the whole run.
        loss: held-out, nats per token; infinite if it diverged.
    """

    lr: float
    curve: pl.DataFrame
    decay_at: int
    tokens: int
    loss: float


def train(out: Path, data: str, claims: str) -> None:
    """Do the sweeps that are not done; write every curve."""
    corpora = Corpora(data)
    recipes = [
        replace(
            corpora.recipe(shape_of_width(width, vocab_size=2048, seq_len=256), TOKENS, seed=seed),
            lr=lr,
        )
        for width, seed, lr in itertools.product(WIDTHS, SEEDS, LRS)
    ]
    jobs = plan_trunks(
        recipes,
        sources=corpora.sources,
        held_out=corpora.held_out,
        ledger=str(out / "ledger"),
        work=str(out / "work"),
    )
    train_ladder(jobs, LocalEngine(1))
    ledgers = [Ledger(str(out / "ledger"))] + ([Ledger(claims)] if claims else [])
    rows = [row for ledger in ledgers for run in ledger for row in rows_of(ledger, run)]
    frame = pl.DataFrame(rows, schema_overrides={"loss": pl.Float32, "lr": pl.Float64})
    sizes = frame.group_by("sweep").agg(pl.col("lr").n_unique().alias("runs"))
    frame = frame.join(sizes.filter(pl.col("runs") >= 4), on="sweep", how="semi")
    frame.sort("sweep", "lr", "tokens").write_parquet(CURVES, compression="zstd")
    print(f"{frame['sweep'].n_unique()} sweeps in {CURVES}")


def rows_of(ledger: Ledger, run: Run) -> Iterator[dict[str, object]]:
    """The constant part of a run's curve; a run without a constant part gives nothing."""
    recipe = run.recipe
    if recipe is None or recipe.schedule.name != "wsd":
        return
    methods = "+".join([recipe.optimizer, *sorted(set(recipe.methods) - {recipe.optimizer})])
    facts = {
        "sweep": f"{methods} {recipe.shape.width} {sweep_id(recipe)}",
        "lr": recipe.lr,
        "decay_at": recipe.batches.tokens_at(shared_steps(recipe)),
        "run_tokens": recipe.tokens,
        "final": mean(run.losses.values()) if run.status == "finished" else float("inf"),
    }
    curve = without_warmup(recipe, ledger.curve(run.id))
    for tokens, loss in curve.select("tokens", "loss").iter_rows():
        yield facts | {"tokens": tokens, "loss": loss}


def sweep_id(recipe: Recipe) -> str:
    """The same for recipes that differ in the learning rate only."""
    return replace(recipe, lr=1.0).id[:6]


def read() -> dict[str, list[Trial]]:
    """The committed curves, by sweep."""
    sweeps: dict[str, list[Trial]] = {}
    frame = pl.read_parquet(CURVES)
    for (name, lr), group in frame.group_by("sweep", "lr", maintain_order=True):
        trial = Trial(
            lr=lr,
            curve=group.select("tokens", pl.col("loss").cast(pl.Float64)),
            decay_at=group["decay_at"][0],
            tokens=group["run_tokens"][0],
            loss=group["final"][0],
        )
        sweeps.setdefault(str(name), []).append(trial)
    return sweeps


class Replay:
    """One sweep under rules of several margins; forecasts are made once and remembered."""

    def __init__(self, trials: list[Trial]) -> None:
        self.trials = trials
        self.rule = LearningCurveStop()
        self.optimistic = {
            (trial.lr, share): self._bound(trial, share) for trial in trials for share in QUESTIONS
        }
        self.reached = {
            trial.lr: self.rule.loss_at(trial.curve, 0.9, tokens=trial.decay_at) for trial in trials
        }

    def _bound(self, trial: Trial, share: float) -> float | None:
        first = int(trial.curve["tokens"][0])
        seen = trial.curve.filter(pl.col("tokens") <= max(first, share * trial.decay_at))
        return self.rule.loss_at(seen, 0.1, tokens=trial.decay_at) if len(seen) else None

    def walk(self, order: list[Trial], margin: float) -> tuple[float, list[Trial]]:
        """Tokens that are saved, and the runs that are finished."""
        saved, done = 0.0, []
        for trial in order:
            rivals = [r for other in done if (r := self.reached[other.lr]) is not None]
            for share in QUESTIONS:
                bound = self.optimistic[trial.lr, share]
                if rivals and bound is not None and bound > (1 + margin) * min(rivals):
                    saved += trial.tokens - share * trial.decay_at
                    break
            else:
                done.append(trial)
        return saved, done


def replay() -> None:
    """Walk through every sweep at every margin; write one JSON."""
    sweeps = {name: Replay(trials) for name, trials in read().items()}
    rows = {}
    for margin in MARGINS:
        shares, lost, worse = [], [], []
        for replayed in sweeps.values():
            for order in orders(replayed.trials):
                saved, done = replayed.walk(order, margin)
                best = min(trial.loss for trial in replayed.trials)
                left = min(trial.loss for trial in done)
                shares.append(saved / sum(trial.tokens for trial in order))
                lost.append(left > best)
                worse.append(left / best - 1)
        rows[str(margin)] = {
            "saved": round(mean(shares), 4),
            "best_run_stopped": round(mean(lost), 4),
            "loss_given_up_mean": round(mean(worse), 5),
            "loss_given_up_worst": round(max(worse), 5),
        }
        print(margin, rows[str(margin)], flush=True)
    told = {"sweeps": len(sweeps), "orders_each": ORDERS + 1, "level": 0.9, "margins": rows}
    write_result("stop_margin", machine("polars") | told)


def orders(trials: list[Trial]) -> list[list[Trial]]:
    """By rising rate, as a ladder file is run, and shuffled."""
    generator = np.random.default_rng(0)
    shuffled = [[trials[k] for k in generator.permutation(len(trials))] for _ in range(ORDERS)]
    return [sorted(trials, key=lambda trial: trial.lr), *shuffled]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("train", "replay"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/leadsman-stop-margin"))
    parser.add_argument("--data", default="/tmp/leadsman-train-data")
    parser.add_argument("--claims", default="")
    given = parser.parse_args()
    if given.what == "train":
        train(given.out, given.data, given.claims)
    else:
        replay()


if __name__ == "__main__":
    main()
