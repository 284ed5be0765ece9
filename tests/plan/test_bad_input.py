"""What a user can get wrong: one clear sentence, exit code 2, nothing half-written left."""

import json
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml


def documents(kind: str, count: int = 60) -> list[str]:
    """Texts of random words, none near another."""
    draw = random.Random(kind)
    return [" ".join(f"{kind}{draw.randrange(500)}" for _ in range(30)) for _ in range(count)]


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


@pytest.fixture
def project(tmp_path) -> dict:
    """A project without fault; tests break one thing each."""
    write_jsonl(tmp_path / "first.jsonl", documents("apple"))
    write_jsonl(tmp_path / "second.jsonl", documents("bread"))
    write_jsonl(tmp_path / "target.jsonl", documents("cheese"))
    return {
        "sources": [
            {"name": "first", "path": "first.jsonl"},
            {"name": "second", "path": "second.jsonl"},
        ],
        "target": {"path": "target.jsonl"},
        "tokenizer": {"vocab_size": 512},
        "budget": {"flops": 1e12},
    }


def plan(directory: Path, project: dict, **options) -> subprocess.CompletedProcess[str]:
    file = directory / "leadsman.yaml"
    file.write_text(yaml.safe_dump(project))
    command = [sys.executable, "-m", "leadsman", "plan", str(file)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def check_refusal(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    sentence = " ".join(result.stderr.split())
    for part in parts:
        assert part in sentence


def test_missing_source_file(tmp_path, project):
    project["sources"][1]["path"] = "nowhere.jsonl"
    check_refusal(plan(tmp_path, project), "nowhere.jsonl")


def test_line_that_is_not_json(tmp_path, project):
    file = tmp_path / "second.jsonl"
    lines = file.read_text().splitlines()
    lines[0] = "{'text': 'single quotes'}"
    file.write_text("\n".join(lines))
    check_refusal(plan(tmp_path, project), "second.jsonl", "line 1")


def test_parquet_without_text(tmp_path, project):
    pl.DataFrame({"body": ["a"], "url": ["b"]}).write_parquet(tmp_path / "second.parquet")
    project["sources"][1]["path"] = "second.parquet"
    check_refusal(plan(tmp_path, project), "second.parquet", "text", "body")


def test_empty_source(tmp_path, project):
    (tmp_path / "second.jsonl").write_text("")
    check_refusal(plan(tmp_path, project), "second.jsonl")


def test_source_that_becomes_empty_after_deduplication(tmp_path, project):
    write_jsonl(tmp_path / "second.jsonl", documents("apple"))
    check_refusal(plan(tmp_path, project), "'second' becomes empty")


def test_target_that_overlaps_a_source_entirely(tmp_path, project):
    write_jsonl(tmp_path / "target.jsonl", documents("bread"))
    check_refusal(plan(tmp_path, project), "'second' becomes empty")


def test_target_of_one_document(tmp_path, project):
    write_jsonl(tmp_path / "target.jsonl", documents("cheese", 1))
    check_refusal(plan(tmp_path, project), "target.jsonl", "at least two are needed")


def test_budget_too_small_for_one_run_is_refused_before_any_work(tmp_path, project):
    project["budget"] = {"flops": 1e6}
    check_refusal(plan(tmp_path, project), "1e+06 FLOPs", "needs")
    assert not (tmp_path / "work/corpora").exists()


def test_too_few_minutes_are_refused_before_any_work(tmp_path, project):
    project["soundings"] = {"minutes": 0.01}
    check_refusal(plan(tmp_path, project), "0.01 minutes are too few", "are the least")
    assert not (tmp_path / "work/corpora").exists()


def test_source_larger_than_declared(tmp_path, project):
    project["sources"][1]["declared_bytes"] = "1 kB"
    check_refusal(plan(tmp_path, project), "'second' declares 1000 bytes")


def test_unknown_selector_and_unknown_option(tmp_path, project):
    project["selection"] = {"method": "dsri"}
    check_refusal(plan(tmp_path, project), "no selector is called 'dsri'", "did you mean dsir")
    project["selection"] = {"options": {"bukkets": 3}}
    check_refusal(plan(tmp_path, project), "bukkets", "selection.options")


def test_full_disk_leaves_nothing_that_a_second_run_would_trust(tmp_path, project):
    """A file-size limit stands in for a full disk: the write itself fails, as there."""
    write_jsonl(tmp_path / "second.jsonl", documents("date", 400))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    check_refusal(plan(tmp_path, project, preexec_fn=limit), "cannot be written", "free space")
    assert not list((tmp_path / "work").rglob("second/manifest.json"))
    project["budget"] = {"flops": 1e6}  # a second run goes as far as it may, and no error of a file
    check_refusal(plan(tmp_path, project), "1e+06 FLOPs")


def test_traceback_only_when_asked_for(tmp_path, project):
    project["sources"][1]["path"] = "nowhere.jsonl"
    file = tmp_path / "leadsman.yaml"
    file.write_text(yaml.safe_dump(project))
    command = [sys.executable, "-m", "leadsman", "--debug", "plan", str(file)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" in result.stderr
    assert "nowhere.jsonl" in result.stderr
