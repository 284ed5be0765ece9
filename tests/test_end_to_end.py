"""The main job, whole: a small project of real text, planned, done, scored and reported.

One project is run once for all tests here; they look at what it left.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from leadsman.corpus.harvest import harvest_source
from leadsman.plan import load_project
from leadsman.runs import Ledger

LEADSMAN = [sys.executable, "-m", "leadsman"]
pytestmark = pytest.mark.timeout(900)
SOURCES = ("stdlib-code", "package-code", "docstrings", "readmes")


def write_project(directory: Path, **changes) -> Path:
    sources = []
    for name in SOURCES:
        revealed = 0.2 if name == "package-code" else 1.0
        got = harvest_source(
            name, directory / "sources", seed=0, max_bytes=300_000, revealed=revealed
        )
        sources.append({"name": name, "path": f"sources/{name}.jsonl"})
        if revealed < 1:
            sources[-1]["declared_bytes"] = got.full_bytes
    harvest_source("target", directory, seed=0, max_bytes=200_000)
    project = {
        "name": "end to end",
        "sources": sources,
        "target": {"path": "target.jsonl", "held_out_bytes": "40 kB"},
        "selection": {"options": {"length_normalised": True}, "keep": 0.5},
        "tokenizer": {"vocab_size": 512},
        "soundings": {
            "minutes": 0.3,
            "mixtures": ["natural", "selected"],
            "widths": [16, 24, 32, 48],
        },
        "budget": {"flops": 4e11},
    } | changes
    file = directory / "leadsman.yaml"
    file.write_text(yaml.safe_dump(project))
    return file


def leadsman(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LEADSMAN, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, str]:
    """A project that was planned and done, and what the terminal said."""
    directory = tmp_path_factory.mktemp("project")
    result = leadsman("plan", write_project(directory), "--do")
    assert result.returncode == 0, result.stdout + result.stderr
    return directory, result.stdout


def test_every_sounding_and_both_real_runs_are_in_the_ledger(done):
    runs = list(Ledger(str(done[0] / "work/ledger")))
    assert all(run.status == "finished" for run in runs)
    roles = [run.role for run in runs]
    assert roles.count("final") == 1
    proxies = [run.recipe for run in runs if run.role == "proxy"]
    assert len({recipe.shape.non_embedding_params for recipe in proxies}) == 4
    assert {recipe.mixture.name for recipe in proxies} == {"natural", "selected"}
    assert len({recipe.tokens for recipe in proxies}) >= 8
    settings = [run.recipe for run in runs if run.role == "setting"]
    tried = {(recipe.lr, recipe.batch_tokens, recipe.mixture.name) for recipe in settings}
    assert len(tried) == len(settings) >= 4
    assert len({recipe.lr for recipe in settings}) == 3


def test_the_plan_says_what_was_tried_what_was_kept_and_what_would_change_it(done):
    plan = json.loads((done[0] / "work/plan.json").read_text())
    assert {each["axis"] for each in plan["settings"]} >= {"lr", "batch_tokens"}
    assert {each["axis"] for each in plan["kept"]} >= {"optimizer", "precision", "method"}
    assert plan["would_change"]
    assert plan["epochs"]
    assert plan["constraints"]
    assert plan["purchases"] == []


def test_forecasts_were_registered_before_the_runs_they_are_about(done):
    ledger = Ledger(str(done[0] / "work/ledger"))
    finished = {run.id: run for run in ledger if run.role in ("final", "naive")}
    forecasts = {forecast.id: forecast for forecast in ledger.forecasts()}
    for run_id, run in finished.items():
        assert forecasts[run_id].created <= run.created
        assert run_id not in forecasts[run_id].fitted_on
    assert {score.forecast.id for score in ledger.track_record()} == set(finished)


def test_final_and_naive_run_cost_the_same_budget(done):
    plan = json.loads((done[0] / "work/plan.json").read_text())
    budget = load_project(done[0] / "leadsman.yaml").budget.total_flops
    for run in Ledger(str(done[0] / "work/ledger")):
        if run.role in ("final", "naive"):
            assert 0.95 * budget < run.recipe.flops <= budget
    assert plan["budget_flops"] == budget


def test_no_target_document_stays_in_a_source(done):
    from leadsman.corpus import Corpus

    corpora = done[0] / "work/corpora"
    target = {
        text
        for name in ("target-reference", "target-held-out")
        for text in Corpus.open(corpora / name).table(["text"])["text"].to_pylist()
    }
    kept = set(Corpus.open(corpora / "clean").table(["text"])["text"].to_pylist())
    assert target
    assert not target & kept


def test_what_was_read_is_kept_or_accounted_for(done):
    prepared = json.loads((done[0] / "work/stages/prepare.json").read_text())["result"]
    for source in prepared["sources"]:
        dropped = source["duplicates"] + source["contaminated"]
        assert source["kept_documents"] + dropped == source["documents"]
        dropped_bytes = source["duplicate_bytes"] + source["contaminated_bytes"]
        assert source["kept_bytes"] + dropped_bytes == source["bytes"]


def test_partly_revealed_source_weighs_by_its_full_size(done):
    prepared = json.loads((done[0] / "work/stages/prepare.json").read_text())["result"]
    mixtures = json.loads((done[0] / "work/stages/mixtures.json").read_text())["result"]
    partial = next(each for each in prepared["sources"] if each["name"] == "package-code")
    assert partial["declared_bytes"] > 3 * partial["bytes"]
    full = {
        each["name"]: each["kept_bytes"] * each["declared_bytes"] / each["bytes"]
        for each in prepared["sources"]
    }
    share = full["package-code"] / sum(full.values())
    assert mixtures["by_source"]["natural"]["package-code"] == pytest.approx(share)


def test_terminal_ends_with_the_score(done):
    said = done[1]
    assert re.search(r"final .* (inside|OUTSIDE)", said)
    assert "Report:" in said


def test_same_command_again_does_nothing_over(done):
    before = {path: path.stat().st_mtime_ns for path in done[0].rglob("run.json")}
    began = time.time()
    result = leadsman("plan", done[0] / "leadsman.yaml", "--do")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("done before; kept") >= 4
    assert {path: path.stat().st_mtime_ns for path in done[0].rglob("run.json")} == before
    tokens = done[0] / "work/tokens"
    assert all(path.stat().st_mtime < began for path in tokens.rglob("*.bin"))


def test_runs_commands_read_the_ledger(done):
    ledger = done[0] / "work/ledger"
    listed = leadsman("runs", "ls", "--ledger", ledger)
    assert listed.returncode == 0
    assert listed.stdout.count("finished") == len(Ledger(str(ledger)).ids())
    query = 'select count(*) as n from runs where "bpb.target" > 0'
    counted = leadsman("runs", "sql", query, "--json", "--ledger", ledger)
    assert json.loads(counted.stdout) == [{"n": len(Ledger(str(ledger)).ids())}]
    first = Ledger(str(ledger)).ids()[0]
    shown = leadsman("runs", "show", first[:8], "--ledger", ledger)
    assert json.loads(shown.stdout)["id"] == first


@pytest.mark.browser
def test_report_opens_in_a_browser_without_a_network(done, browser, tmp_path):
    page = done[0] / "report.html"
    opened = browser.open(page)
    assert not opened.errors
    assert opened.dom.count("<svg viewBox") >= 5
    assert "What it beat" in opened.dom
    loads = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="([^"]+)"', opened.dom)
    assert not [target for target in loads if not target.startswith("data:")]
    png = browser.screenshot(page, tmp_path / "report.png")
    assert png.stat().st_size > 50_000


@pytest.mark.slow
def test_killed_at_random_moments_ends_with_the_plan_of_an_undisturbed_run(done, tmp_path):
    """SIGKILL to the whole process group at five moments, then once to the end."""
    file = write_project(tmp_path)
    generator = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            [*LEADSMAN, "plan", str(file), "--do"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(generator.uniform(4, 40))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = leadsman("plan", file, "--do")
    assert result.returncode == 0, result.stderr
    undisturbed = Ledger(str(done[0] / "work/ledger"))
    disturbed = Ledger(str(tmp_path / "work/ledger"))
    assert disturbed.ids() == undisturbed.ids()
    for run_id in disturbed.ids():
        assert disturbed.get(run_id).bpb == undisturbed.get(run_id).bpb
    plans = [
        json.loads((directory / "work/plan.json").read_text())["chosen"]["recipe"]
        for directory in (tmp_path, done[0])
    ]
    assert plans[0] == plans[1]
