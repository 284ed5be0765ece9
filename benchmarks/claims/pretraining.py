"""Loss of every training method against full-rank AdamW at equal tokens, three seeds.

    python -m benchmarks.claims.pretraining work --corpora DIR --out DIR [--seconds 500]
    python -m benchmarks.claims.pretraining speed --out DIR
    python -m benchmarks.claims.pretraining collect --out DIR

``work`` trains what is not yet in the ledger under ``--out`` (45 core-minutes in all); any number
of workers at once, each killed and started again as one likes. ``speed`` times every method, one
after another, in processor time. ``collect`` writes ``results/pretraining.json``, of which
``python -m benchmarks.claims.page`` makes ``docs/claims.md``. The directory of ``--corpora`` holds
Parquet files with a column ``text``.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.claims.design import (
    BATCH_TOKENS,
    CONTENDERS,
    LAW_LR,
    SEEDS,
    SHAPE,
    TOKENS,
    Contender,
)
from benchmarks.claims.tensor_bytes import state_bytes, weight_bytes
from benchmarks.machine import machine
from leadsman.corpus import read_source
from leadsman.engine import LocalEngine
from leadsman.errors import LeadsmanError
from leadsman.laws.methods.power import Power
from leadsman.runs import Ledger, Mixture, Recipe, Run
from leadsman.train.build import run_methods
from leadsman.train.feed import data_id
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.loop import Trainer
from leadsman.train.methods._growth import narrower
from leadsman.train.tokens import TokenSet, tokenize_corpus, train_tokenizer

DOCUMENTS = {"books": 400, "peps": 400, "sympy_code": 60}
HELD_OUT = {"books": 12, "peps": 12, "sympy_code": 3}
SPEED_STEPS = 50
CHEAPER = 0.95
"""Share of AdamW's compute up to which a method is also held against AdamW at its own compute."""
RESULT = Path(__file__).parent / "results" / "pretraining.json"


class Bench:
    """Data, recipes and ledger of the comparison.

    Args:
        out: working directory.
        corpora: directory of the text; needed until it is tokenised.
    """

    def __init__(self, out: Path, corpora: Path | None = None) -> None:
        self.out = out
        if not (out / "tokens/ready").exists():
            assert corpora is not None, "--corpora is needed the first time"
            _tokenize(corpora, out / "tokens")
        self.sources = {name: out / "tokens" / name for name in DOCUMENTS}
        self.sets = {name: TokenSet(path) for name, path in self.sources.items()}
        self.mixture = Mixture("even", dict.fromkeys(DOCUMENTS, 1.0))
        self.ledger = Ledger(str(out / "ledger"))

    def recipe(self, contender: Contender, lr: float, seed: int) -> Recipe:
        """The run of a contender."""
        methods = dict(contender.methods)
        if "adaptive_shape" in methods:
            methods["adaptive_shape"] = {"laws": self.laws()}
        return Recipe(
            shape=SHAPE,
            mixture=self.mixture,
            data=data_id(self.sets),
            tokens=TOKENS,
            batch_tokens=BATCH_TOKENS,
            lr=lr,
            schedule=contender.recipe_schedule(),
            optimizer=contender.optimizer,
            methods=methods,
            precision="float32",
            seed=seed,
        )

    def narrow(self) -> Recipe:
        """AdamW at half the width, for the law that the adaptive shape needs."""
        whole = self.recipe(CONTENDERS[0], LAW_LR, SEEDS[0])
        return replace(whole, shape=narrower(SHAPE, SHAPE.width // 2))

    def laws(self) -> list[dict[str, float]]:
        """The law of each width, fitted to the curves of two AdamW runs."""
        found = []
        for recipe in (self.narrow(), self.recipe(CONTENDERS[0], LAW_LR, SEEDS[0])):
            curve = self.ledger.curve(recipe.id)
            stable = curve.filter(pl.col("step").is_between(25, recipe.steps * 4 // 5))
            points = stable.group_by(pl.col("step") // 15).agg(
                pl.col("tokens").mean() * recipe.shape.train_flops_per_token, pl.col("loss").mean()
            )
            law = Power(x="flops").fit(points.rename({"tokens": "flops"}).sort("flops"))
            names = {"floor": "E", "scale": "A", "exponent": "alpha"}
            values = {k: float(f"{law.parameters()[name]:.4g}") for k, name in names.items()}
            found.append({"width": recipe.shape.width} | values)
        return found

    def loss(self, recipe: Recipe) -> float | None:
        """Mean held-out loss in nats per token; infinite if diverged, ``None`` if not yet run."""
        if recipe.id not in self.ledger:
            return None
        run = self.ledger.get(recipe.id)
        return statistics.mean(run.losses.values()) if run.status == "finished" else math.inf

    def best_lr(self, contender: Contender) -> float | None:
        """Of the trials with the first seed, or the claim's own; ``None`` if one is missing."""
        losses = {lr: self.loss(self.recipe(contender, lr, SEEDS[0])) for lr in contender.lrs}
        if any(loss is None for loss in losses.values()):
            return None
        return contender.untuned or min(losses, key=lambda lr: losses[lr] or math.inf)

    def equal_compute(self, contender: Contender) -> list[Recipe]:
        """AdamW on as many tokens as cost what the contender's runs do, by seed.

        None for contenders that cost what AdamW does, or before their best rate is known.
        """
        lr, base = self.best_lr(contender), self.best_lr(CONTENDERS[0])
        if lr is None or base is None:
            return []
        recipe = self.recipe(contender, lr, SEEDS[0])
        if self.loss(recipe) == math.inf:
            return []
        share = flops_of(recipe) / recipe.flops
        if share > CHEAPER:
            return []
        steps = round(share * TOKENS / BATCH_TOKENS)
        return [
            replace(self.recipe(CONTENDERS[0], base, seed), tokens=steps * BATCH_TOKENS)
            for seed in SEEDS
        ]

    def ready(self, contender: Contender) -> bool:
        """Whether the runs that settle the contender's recipe are there."""
        before = (self.narrow(), self.recipe(CONTENDERS[0], LAW_LR, SEEDS[0]))
        return "adaptive_shape" not in contender.methods or all(
            self.loss(recipe) is not None for recipe in before
        )

    def todo(self) -> Iterator[Recipe]:
        """Runs not in the ledger, contender by contender, as far as they are known by now."""
        if self.loss(self.narrow()) is None:
            yield self.narrow()
        for contender in CONTENDERS:
            if not self.ready(contender):
                continue
            recipes = [self.recipe(contender, lr, SEEDS[0]) for lr in contender.lrs]
            best = self.best_lr(contender)
            if best is not None:
                recipes = [self.recipe(contender, best, seed) for seed in SEEDS[1:]]
                recipes += self.equal_compute(contender)
            yield from (recipe for recipe in recipes if recipe.id not in self.ledger)

    def train(self, recipe: Recipe) -> Run:
        """Train one run on one thread, as ``leadsman train`` does."""
        jobs = plan_trunks(
            [recipe],
            sources={name: str(path) for name, path in self.sources.items()},
            held_out={name: str(self.out / "tokens" / f"{name}.held_out") for name in self.sources},
            ledger=str(self.out / "ledger"),
            work=str(self.out / "work"),
            device="cpu",
            compiled=False,
        )
        try:
            return train_ladder(jobs, LocalEngine(1))[0]
        except LeadsmanError:
            return self.ledger.get(recipe.id)  # the reason stands there


def work(bench: Bench, seconds: float) -> None:
    """Train what is to do, until the time is up; other workers' runs are left to them."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        for recipe in bench.todo():
            with _claimed(bench.out / "locks" / recipe.id) as mine:
                if mine and recipe.id not in bench.ledger:
                    run = bench.train(recipe)
                    what = " ".join([recipe.optimizer, *recipe.methods])
                    print(
                        f"{what} lr {recipe.lr:g} seed {recipe.seed}: {bench.loss(recipe):.4f} "
                        f"({run.status}, {run.seconds:.0f} s)",
                        flush=True,
                    )
                    break
        else:
            return


def speed(bench: Bench) -> None:
    """Processor time of every contender's steps, refreshes every 50 included: ``speed.json``."""
    import torch

    torch.set_num_threads(1)
    rates = {}
    for contender in CONTENDERS:
        if bench.ready(contender):
            recipe = bench.recipe(contender, contender.lrs[0], SEEDS[0])
            if recipe.id in bench.ledger and bench.ledger.get(recipe.id).status == "failed":
                continue
            trainer = Trainer(recipe, bench.sets)
            trainer.advance(recipe, 3)
            before = time.process_time()
            trainer.advance(recipe, 3 + SPEED_STEPS)
            seconds = time.process_time() - before
            rates[contender.label] = round(SPEED_STEPS * BATCH_TOKENS / seconds)
    result = {"machine": machine("torch"), "tokens_per_second": rates}
    (bench.out / "speed.json").write_text(json.dumps(result, indent=1))


def collect(bench: Bench) -> None:
    """Write what the ledger holds to ``results/pretraining.json``."""
    speeds = bench.out / "speed.json"
    rows = [row for contender in CONTENDERS if (row := _row(bench, contender)) is not None]
    result = {
        "machine": machine("torch", "pytorch_optimizer"),
        "shape": vars(SHAPE) | {"params": SHAPE.params},
        "tokens": TOKENS,
        "batch_tokens": BATCH_TOKENS,
        "train_tokens": {name: len(tokens) for name, tokens in bench.sets.items()},
        "speed": json.loads(speeds.read_text()) if speeds.exists() else None,
        "rows": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(rows)} of {len(CONTENDERS)} methods in {RESULT}")


def _row(bench: Bench, contender: Contender) -> dict[str, Any] | None:
    """A contender's trials, losses by seed, compute and bytes; ``None`` until all are run."""
    best = bench.best_lr(contender) if bench.ready(contender) else None
    if best is None:
        return None
    recipes = [bench.recipe(contender, best, seed) for seed in SEEDS]
    losses = [bench.loss(recipe) for recipe in recipes]
    alone = [bench.loss(recipe) for recipe in bench.equal_compute(contender)]
    if any(loss is None for loss in losses + alone):
        return None
    trials = {f"{lr:g}": bench.loss(bench.recipe(contender, lr, 0)) for lr in contender.lrs}
    row = {
        "label": contender.label,
        "trials": {lr: _finite(loss) for lr, loss in trials.items()},
        "lr": best,
        "losses": [_finite(loss) for loss in losses],
        "methods": recipes[0].to_dict()["methods"],
    }
    if None in row["losses"]:
        failed = next(r for r in recipes if _finite(bench.loss(r)) is None)
        return row | {"reason": bench.ledger.get(failed.id).reason}
    trainer = Trainer(recipes[0], bench.sets)
    trainer.advance(recipes[0], 1)
    return row | {
        "flops": flops_of(recipes[0]),
        "equal_compute_losses": [_finite(loss) for loss in alone],
        "weight_bytes": weight_bytes(trainer.model),
        "state_bytes": state_bytes(trainer.optimizer),
    }


def flops_of(recipe: Recipe) -> float:
    """Training compute as the recipe's methods count it."""
    flops = recipe.flops
    for method in run_methods(recipe):
        flops = method.train_flops(recipe)
    return flops


def _finite(loss: float | None) -> float | None:
    return None if loss is None or math.isinf(loss) else round(loss, 5)


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether this process holds the lock file; given back by the system if it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _tokenize(corpora: Path, out: Path) -> None:
    """The first documents of each corpus; the last of these are held out."""
    texts: dict[str, list[str]] = {}
    for name, count in DOCUMENTS.items():
        texts[name] = []
        for batch in read_source(str(corpora / f"{name}.parquet")):
            texts[name] += batch.column("text").to_pylist()
            if len(texts[name]) >= count + HELD_OUT[name]:
                break
    training = {name: documents[: DOCUMENTS[name]] for name, documents in texts.items()}
    tokenizer = train_tokenizer(
        training.values(), vocab_size=SHAPE.vocab_size, path=out / "tokenizer.json"
    )
    for name, documents in texts.items():
        end = DOCUMENTS[name] + HELD_OUT[name]
        tokenize_corpus(training[name], tokenizer, out / name)
        tokenize_corpus(documents[DOCUMENTS[name] : end], tokenizer, out / f"{name}.held_out")
    (out / "ready").touch()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("work", "speed", "collect"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--seconds", type=float, default=math.inf)
    given = parser.parse_args()
    bench = Bench(given.out, given.corpora)
    if given.what == "work":
        work(bench, given.seconds)
    else:
        {"speed": speed, "collect": collect}[given.what](bench)


if __name__ == "__main__":
    main()
