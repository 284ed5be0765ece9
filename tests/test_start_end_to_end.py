"""A base model trained here, given to a plan in Hugging Face format: planned, done and scored."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from leadsman.corpus.harvest import harvest_source
from leadsman.runs import Ledger
from leadsman.train.start import start_id

LEADSMAN = [sys.executable, "-m", "leadsman"]
BUDGET = 4e10
"""Little enough for the head start to count; for ten times as much a fresh start is better here."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def leadsman(*arguments: str | Path) -> str:
    result = subprocess.run([*LEADSMAN, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def base_model(directory: Path) -> Path:
    """Trained on the standard library's code and saved by transformers."""
    from transformers import AutoModelForCausalLM

    file = directory / "base.yaml"
    recipe = {
        "sources": {"code": "sources/stdlib-code.jsonl"},
        "held_out": {"target": "target.jsonl"},
        "out": "base", "tokenizer": {"vocab_size": 512}, "model": {"width": 48}, "tokens": 600_000,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(recipe))
    leadsman("train", file)
    (trained,) = (directory / "base/models").iterdir()
    AutoModelForCausalLM.from_pretrained(trained).save_pretrained(directory / "base.hf")
    shutil.copy(directory / "base/tokenizer.json", directory / "base.hf")
    return directory / "base.hf"


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, str]:
    """A project with a start that was planned and done, and what the terminal said."""
    directory = tmp_path_factory.mktemp("start")
    names = ("stdlib-code", "docstrings")
    for name in names:
        harvest_source(name, directory / "sources", seed=0, max_bytes=400_000)
    harvest_source("target", directory, seed=0, max_bytes=200_000)
    base_model(directory)
    project = {
        "sources": [{"name": name, "path": f"sources/{name}.jsonl"} for name in names],
        "target": {"path": "target.jsonl", "held_out_bytes": "40 kB"},
        "selection": {"options": {"length_normalised": True}, "keep": 0.5},
        "starts": [{"name": "base.hf", "path": "base.hf"}],
        "soundings": {
            "minutes": 0.7, "mixtures": ["natural", "selected"], "widths": [16, 24, 32, 48]
        },
        "vary": {"lr": [], "batch_tokens": [512], "added_share": 0},
        "budget": {"flops": BUDGET},
    }  # fmt: skip
    file = directory / "leadsman.yaml"
    file.write_text(yaml.safe_dump(project))
    return directory, leadsman("plan", file, "--do")


def test_both_ways_are_sounded_on_the_tokens_of_the_base_model(done):
    directory, said = done
    identity = start_id(directory / "base.hf")
    runs = list(Ledger(str(directory / "work/ledger")))
    assert all(run.status == "finished" for run in runs)
    proxies = [run.recipe for run in runs if run.role == "proxy"]
    given = [recipe for recipe in proxies if recipe.start]
    assert {recipe.start for recipe in given} == {identity}
    assert len({recipe.tokens for recipe in given}) == 6
    assert {recipe.shape.vocab_size for recipe in proxies} == {512}
    own, taken = (directory / place / "tokenizer.json" for place in ("base.hf", "work"))
    assert own.read_bytes() == taken.read_bytes()
    assert "no budget here counts it" in said


def test_continuing_beats_the_model_as_it_is_and_a_fresh_start_of_its_size(done):
    """What the planted world assumes holds here: a model of like text is a head start."""
    plan = json.loads((done[0] / "work/plan.json").read_text())
    (known,) = plan["starts"]
    runs = [run for run in Ledger(str(done[0] / "work/ledger")) if run.role == "proxy"]
    given = [run for run in runs if run.recipe.mixture.name == "continue base.hf on selected"]
    assert max(given, key=lambda run: run.recipe.tokens).bpb["target"] < known["as_it_is"]
    shape = given[0].recipe.shape
    fresh = [
        run for run in runs if run.recipe.mixture.name == "selected" and run.recipe.shape == shape
    ]
    assert fresh
    for run in fresh:
        sooner = [each for each in given if each.recipe.tokens <= run.recipe.tokens]
        assert min(each.bpb["target"] for each in sooner) < run.bpb["target"]


def test_the_choice_is_carried_out_from_the_base_model_and_scored(done):
    directory, said = done
    plan = json.loads((directory / "work/plan.json").read_text())
    assert plan["chosen"]["recipe"]["start"] == start_id(directory / "base.hf")
    assert "Plan: continue base.hf, " in said
    starts = {bool(each["recipe"]["start"]) for each in [plan["chosen"], *plan["alternatives"]]}
    assert starts == {True, False}
    ledger = Ledger(str(directory / "work/ledger"))
    (final,) = [run for run in ledger if run.role == "final"]
    assert final.recipe.start
    assert 0.95 * BUDGET < final.recipe.flops <= BUDGET
    scored = {score.forecast.id: score for score in ledger.track_record()}
    assert abs(scored[final.id].relative_error) < 0.05
    page = (directory / "report.html").read_text()
    assert "Continue base.hf (" in page
    assert "Base models" in page
    out = directory / "exported"
    leadsman("export", directory, "--to", "hf-trainer", "--out", out)
    assert "base.hf" in (out / "NOTES.md").read_text()


def test_a_second_plan_does_nothing_again(done):
    directory, _ = done
    before = {run.id: run.created for run in Ledger(str(directory / "work/ledger"))}
    said = leadsman("plan", directory / "leadsman.yaml")
    assert {run.id: run.created for run in Ledger(str(directory / "work/ledger"))} == before
    assert said.count("done before; kept") >= 6
