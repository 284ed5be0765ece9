"""A finished project with a planted law, written to disk as the stages would, without training.

The truth is bpb = E + A / params^0.34 + B / (quality * tokens)^0.28 with one quality a mixture;
draws vary E, A and B together, so that draw k is the same world everywhere.
"""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leadsman.runs import Ledger, Mixture, ModelShape, Recipe, RegisteredForecast, Run, Schedule

QUALITY = {"natural": 0.4, "uniform": 0.6, "selected": 1.0}
WIDTHS = (48, 64, 80, 96, 128)
BUDGET = 2e13
DRAWS = 200
Y = "bpb.target"

PATIENCE = 120_000
"""Milliseconds a page may take where many tests share few cores."""


def shape_of(width: int) -> ModelShape:
    return ModelShape(
        layers=2, width=width, heads=width // 16, kv_heads=width // 16, ffn_width=width * 5 // 2,
        vocab_size=2048, seq_len=256,
    )  # fmt: skip


def recipe_of(width: int, mixture: str, tokens: float) -> Recipe:
    return Recipe(
        shape=shape_of(width),
        mixture=Mixture(mixture, {"web": 0.7, "code": 0.3}),
        data="d0",
        tokens=int(tokens),
        batch_tokens=4096,
        lr=0.006,
        schedule=Schedule(warmup_tokens=65_536),
    )


def worlds() -> np.ndarray:
    """Shape (DRAWS, 3): E, A, B."""
    generator = np.random.default_rng(0)
    return np.array([0.9, 24.0, 60.0]) * np.exp(0.03 * generator.standard_normal((DRAWS, 3)))


def truth(params: float, tokens: float, mixture: str) -> np.ndarray:
    """bpb in every world, shape (DRAWS,)."""
    e, a, b = worlds().T
    return e + a / params**0.34 + b / (QUALITY[mixture] * tokens) ** 0.28


def option(recipe: Recipe) -> dict:
    draws = truth(recipe.shape.non_embedding_params, recipe.tokens, recipe.mixture.name)
    forecast = RegisteredForecast.from_draws(recipe.id, draws, y=Y, law="chinchilla 0.8, power 0.2")
    return {"recipe": recipe.to_dict(), "forecast": forecast.to_dict(), "probability_best": 0.0}


def spend(width: int, mixture: str, budget: float = BUDGET) -> Recipe:
    return recipe_of(width, mixture, budget / shape_of(width).train_flops_per_token)


def write_project(work: Path, *, full: bool = True) -> Path:
    """All files of a finished project; ``full`` adds the fields of plans with prices."""
    options = [option(spend(width, mixture)) for width in WIDTHS for mixture in QUALITY]
    options.sort(key=lambda each: each["forecast"]["mean"])
    draws = np.stack([truth(*_point(each)) for each in options])
    wins = np.bincount(draws.argmin(axis=0), minlength=len(options)) / DRAWS
    for each, share in zip(options, wins):
        each["probability_best"] = float(share)
    chosen = options[0]
    same = chosen["recipe"]["shape"]["width"]
    naive = next(
        each
        for each in options
        if each["recipe"]["mixture"]["name"] == "natural"
        and each["recipe"]["shape"]["width"] == same
    )
    plan = {
        "y": Y,
        "budget_flops": BUDGET,
        "chosen": chosen,
        "naive": naive,
        "alternatives": [each for each in options if each not in (chosen, naive)],
        "saving": {"fraction": 0.6, "low": 0.5, "high": 0.7, "censored": False},
        "sounding_flops": 4e12,
    }
    work.mkdir(parents=True, exist_ok=True)
    (work / "plan.json").write_text(json.dumps(plan | (_prices(chosen) if full else {})))
    (work / "project.yaml").write_text("name: planted\n# a comment <with> marks\n")
    _stages(work)
    _ledger(work, chosen, naive)
    if full:
        candidates().write_parquet(work / "plan_draws.parquet")
    return work


def candidates() -> pl.DataFrame:
    """One row a mixture, width and compute level, as the plan stores them."""
    rows = []
    for mixture in QUALITY:
        for width in WIDTHS:
            shape = shape_of(width)
            for flops in np.geomspace(BUDGET / 30, 3 * BUDGET, 24):
                tokens = flops / shape.train_flops_per_token
                rows.append(
                    {
                        "mixture": mixture,
                        "width": width,
                        "params": float(shape.non_embedding_params),
                        "total_params": float(shape.params),
                        "tokens": tokens,
                        "flops": flops,
                        "serve_flops_per_token": shape.forward_flops_per_token,
                        "draws": truth(shape.non_embedding_params, tokens, mixture).tolist(),
                    }
                )
    return pl.DataFrame(rows, schema_overrides={"draws": pl.List(pl.Float32)})


def _point(each: dict) -> tuple[float, float, str]:
    recipe = Recipe.from_dict(each["recipe"])
    return recipe.shape.non_embedding_params, recipe.tokens, recipe.mixture.name


def _prices(chosen: dict) -> dict:
    levels = np.geomspace(BUDGET / 30, 3 * BUDGET, 12)
    pareto = []
    for flops in levels:
        recipe = spend(96, "selected", flops)
        low, middle, high = np.quantile(
            truth(*_point({"recipe": recipe.to_dict()})), [0.1, 0.5, 0.9]
        )
        pareto.append(
            {"flops": flops, "money": flops / 3.6e13 * 2, "mixture": "selected",
             "tokens": recipe.tokens, "params": recipe.shape.non_embedding_params, "median": middle,
             "low": low, "high": high}
        )  # fmt: skip
    return {
        "objective": {"kind": "mean", "q": None},
        "cost": {"hardware": "two cores", "devices": 1, "flops_per_second": 1e10,
                 "utilisation": 0.4,
                 "utilisation_from": "ledger", "price_per_hour": 2.0, "currency": "USD",
                 "hours": BUDGET / 3.6e13, "money": BUDGET / 3.6e13 * 2, "energy_kwh": 0.05,
                 "carbon_kg": 0.02},
        "serving": None,
        "memory": {"total_bytes": 4.2e8, "limit_bytes": 8e8, "parts": {"weights": 1e8,
                   "gradients": 1e8, "optimizer": 1.6e8, "activations": 6e7}},
        "regret": {"expected": 0.004, "q90": 0.011, "unit": Y},
        "pareto": pareto,
        "rules": [{"rule": "20 tokens per parameter", "params": 8e5, "tokens": 1.6e7,
                   "mixture": "natural", "mean": chosen["forecast"]["mean"] + 0.1, "gap": 0.1}],
        "constraints": [{"name": "memory", "text": "at most 800 MB while training", "slack": 3.8e8,
                         "binding": False}],
        "next": {"stop": False, "why": "One run is worth its cost.", "runs": [
            {"mixture": "uniform", "params": 1.6e5, "tokens": 2e6, "flops": 2.4e12, "money": 0.1,
             "value": 0.001, "per_cost": 4e-16}]},
        "purchases": [{"source": "books", "price": 900.0, "currency": "USD", "bytes": 3e9,
                       "worth": 0.012, "bought": True},
                      {"source": "news", "price": 90.0, "currency": "USD", "bytes": 1e9,
                       "worth": None, "bought": False}],
        "settings": [
            {"axis": "lr", "value": 0.012, "reference": 0.006, "chosen": False, "tried": True,
             "effect": 0.011, "low": 0.004, "high": 0.018},
            {"axis": "lr", "value": 0.0042, "reference": 0.006, "chosen": True, "tried": False,
             "effect": -0.006, "low": -0.012, "high": 0.001},
            {"axis": "add.books", "value": 0.25, "reference": 0.0, "chosen": True, "tried": True,
             "effect": -0.02, "low": -0.03, "high": -0.01}],
        "kept": [{"axis": "precision", "kept": "bf16", "why": "name precisions to try"}],
        "would_change": [{"what": "budget", "text": "With less compute, natural is best."}],
        "epochs": [{"source": "selected", "share": 1.0, "tokens": 8e6, "full_tokens": 1e6,
                    "epochs": 8.0, "readable_epochs": 16.0, "warning": "8 passes over selected"}],
    }  # fmt: skip


def _stages(work: Path) -> None:
    flops = np.geomspace(BUDGET / 300, BUDGET, 40)
    curves = []
    for mixture in QUALITY:
        draws = np.stack(
            [truth(*_point({"recipe": spend(96, mixture, each).to_dict()})) for each in flops]
        )
        curves.append(
            {
                "mixture": mixture,
                "flops": flops.tolist(),
                "median": np.median(draws, axis=1).tolist(),
                "intervals": {
                    str(level): np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=1)
                    .T.tolist()
                    for level in (0.5, 0.8, 0.95)
                },
            }
        )  # fmt: skip
    source = {"documents": 1000, "bytes": 8_000_000, "declared_bytes": 8_000_000, "duplicates": 100,
              "duplicate_bytes": 900_000, "contaminated": 4, "contaminated_bytes": 40_000,
              "kept_documents": 896, "kept_bytes": 7_060_000}  # fmt: skip
    results = {
        "prepare": {
            "project": "planted",
            "sources": [source | {"name": "web"}, source | {"name": "code", "declared_bytes": 9e7}],
            "examples": [{"id": "web/17", "why": "near copy of web/3", "text": "Lorem ipsum."}],
            "warnings": [],
        },
        "select": {"method": "dsir", "called": "DSIR", "keep": 0.25, "documents": 450,
                   "bytes": 3_500_000, "note": "Near it.",
                   "sets": {"selected@0.1": {"by_source": {"web": 3, "code": 1}}},
                   "examples": [{"id": "code/9", "why": "score 3.2", "text": "def f(): ..."}]},
        "mixtures": {"by_source": {
            "natural": {"web": 0.3, "code": 0.7}, "uniform": {"web": 0.5, "code": 0.5},
            "selected": {"web": 0.85, "code": 0.15}}},
        "forecast": {"curves": curves},
    }  # fmt: skip
    (work / "stages").mkdir(exist_ok=True)
    for name, result in results.items():
        text = json.dumps({"fingerprint": "f", "result": result})
        (work / f"stages/{name}.json").write_text(text)


def _ledger(work: Path, chosen: dict, naive: dict) -> None:
    ledger = Ledger(str(work / "ledger"))
    generator = np.random.default_rng(1)
    for mixture in QUALITY:
        for width in WIDTHS[:4]:
            for share in (1 / 8, 1 / 4, 1 / 2, 1):
                _add(ledger, spend(width, mixture, share * BUDGET / 8), "proxy", generator)
    for each in (chosen, naive):
        ledger.register(RegisteredForecast.from_dict(each["forecast"]))
    for each, role in ((chosen, "final"), (naive, "naive")):
        _add(ledger, Recipe.from_dict(each["recipe"]), role, generator)
    ledger.book.score()


def _add(ledger: Ledger, recipe: Recipe, role: str, generator: np.random.Generator) -> None:
    params = recipe.shape.non_embedding_params
    result = float(np.median(truth(params, recipe.tokens, recipe.mixture.name)))
    result *= float(np.exp(0.004 * generator.standard_normal()))
    tokens = np.unique(np.geomspace(4096, recipe.tokens, 60).astype(int))
    losses = [float(np.median(truth(params, each, recipe.mixture.name))) * 2 for each in tokens]
    curve = pl.DataFrame(
        {"step": tokens // 4096, "tokens": tokens, "loss": losses, "lr": [0.006] * len(tokens)}
    )
    created = datetime.now(UTC) + timedelta(seconds=1)
    run = Run(id=recipe.id, recipe=recipe, role=role, bpb={"target": result}, seconds=0.5,
              device="two cores", created=created.isoformat())  # fmt: skip
    ledger.add(run, curve=curve)


@pytest.fixture
def planted_truth():
    """Median result of a mixture at the budget and width 96."""
    return lambda mixture: float(
        np.median(truth(*_point({"recipe": spend(96, mixture).to_dict()})))
    )


@pytest.fixture
def make_project():
    """Writes a finished project into a directory."""
    return write_project


@pytest.fixture(scope="session")
def chromium():
    """A real headless Chromium, driven through Playwright."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens a page without a network; what its scripts complain of fails the test."""
    opened, errors = [], []

    def go(target: Path | str, **options):
        page = chromium.new_context(offline=isinstance(target, Path), **options).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(target.resolve().as_uri() if isinstance(target, Path) else target)
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.context.close()
    assert not errors


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Path:
    """A finished project, read only."""
    return write_project(tmp_path_factory.mktemp("planted") / "work")


@pytest.fixture
def own_project(tmp_path) -> Path:
    """A finished project a test may change."""
    return write_project(tmp_path / "work")
