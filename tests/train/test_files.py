from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from leadsman.errors import InputError
from leadsman.runs import Ledger
from leadsman.train.files import load_ladder_file, load_recipe_file

COMMON = {
    "sources": {"prose": "prose.jsonl", "code": "code.jsonl"},
    "held_out": {"val": "code.jsonl"},
    "tokenizer": {"vocab_size": 300},
    "seq_len": 16,
    "batch_tokens": 64,
    "schedule": {"warmup_tokens": 128},
    "precision": "float32",
}
RECIPE = COMMON | {"model": {"width": 32}, "tokens": 32_000, "lr": 0.01}
LADDER = COMMON | {
    "widths": [32, 48],
    "mixtures": {"code": {"code": 1}, "even": {"code": 1, "prose": 1}},
    "tokens": [22_400, 44_800],
    "lrs": [0.01],
    "seeds": [0, 1, 2],
}


@pytest.fixture
def write(texts, tmp_path):
    def write(content: dict) -> Path:
        for name, documents in texts.items():
            lines = [json.dumps({"text": document}) for document in documents]
            (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
        file = tmp_path / "file.yaml"
        file.write_text(yaml.safe_dump(content))
        return file

    return write


def leadsman(*arguments: object) -> list[str]:
    start = "from leadsman.cli.main import run; run()"
    return [sys.executable, "-c", start, *map(str, arguments)]


def test_a_recipe_file_becomes_a_run(write):
    design = load_recipe_file(write(RECIPE | {"model": {"width": 32, "heads": 2, "layers": 3}}))
    (recipe,) = design.recipes
    assert (recipe.shape.heads, recipe.shape.kv_heads, recipe.shape.layers) == (2, 2, 3)
    assert recipe.shape.vocab_size == 300
    assert recipe.mixture.name == "natural"
    assert recipe.mixture.weights["prose"] > 0.5
    assert (recipe.lr, recipe.batch_tokens, recipe.schedule.warmup_tokens) == (0.01, 64, 128)
    assert load_recipe_file(design_file := write(RECIPE)).recipes != [recipe]
    assert load_recipe_file(design_file).recipes == load_recipe_file(design_file).recipes


def test_a_ladder_file_is_every_combination_from_shared_trunks(write):
    design = load_ladder_file(write(LADDER))
    assert len({recipe.id for recipe in design.recipes}) == 2 * 2 * 2 * 3
    assert len(design.jobs) == 2 * 2 * 3
    assert {recipe.mixture.name for recipe in design.recipes} == {"code", "even"}


def test_a_run_continues_from_the_weights_of_another(write, tmp_path):
    from leadsman.train.ladder import run_trunk
    from leadsman.train.start import start_id

    first = load_recipe_file(write(RECIPE | {"tokens": 12_800})).jobs[0]
    run_trunk(first)
    folder = f"runs/models/{first.recipes[0].id}"
    plain = {name: value for name, value in RECIPE.items() if name != "schedule"}
    second = load_recipe_file(write(plain | {"tokens": 17_000, "start": folder})).jobs[0]
    (recipe,) = second.recipes
    assert recipe.start == start_id(tmp_path / folder)
    assert (recipe.schedule.name, recipe.schedule.start_lr_ratio) == ("cosine", 0.1)
    run_trunk(second)
    ledger = Ledger(second.ledger)
    before, after = ledger.curve(first.recipes[0].id), ledger.curve(recipe.id)
    assert after["loss"][0] < before["loss"][0] - 1
    assert after["loss"][0] == pytest.approx(before["loss"].tail(20).mean(), abs=0.5)
    weights = tmp_path / folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"holds weights .*; the recipe continues from"):
        run_trunk(replace(second, ledger=str(tmp_path / "elsewhere")))
    (failed,) = Ledger(str(tmp_path / "elsewhere"))
    assert failed.status == "failed"


def test_packings_and_schedules_of_a_file(write):
    packing = {"name": "buckets", "shortest": 4}
    schedule = {"name": "power", "ramp_start_tokens": 16, "ramp_tokens": 640}
    (recipe,) = load_recipe_file(write(RECIPE | {"packing": packing})).recipes
    assert recipe.packing.cycle_tokens == RECIPE["tokens"] // 8
    assert recipe.packing.curriculum == "grow-p2"
    (recipe,) = load_recipe_file(write(RECIPE | {"schedule": schedule})).recipes
    assert (recipe.schedule.name, recipe.batches.batch_at(0)) == ("power", 16)
    design = load_ladder_file(write(LADDER | {"packing": packing, "stop_margin": 0.1}))
    assert {recipe.packing.cycle_tokens for recipe in design.recipes} == {44_800 // 8}
    assert design.stop_margin == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tokns": 5},
            r"file\.yaml, line \d+, field 'tokns': unknown field; did you mean 'tokens'",
        ),
        ({"model": {"width": 48, "heads": 5}}, "5 heads do not divide width 48"),
        ({"mixture": {"books": 1}}, "draws from 'books'"),
        ({"mixture": {"code": 0}}, "has no source with a weight"),
        ({"tokens": 100}, "100 are too few"),
        ({"lr": -1}, "field 'lr'"),
        ({"sources": {"code": "none.jsonl"}}, r"none\.jsonl"),
        ({"batch_tokens": 65}, "65 is not a multiple of the sequence length 16"),
        ({"optimizer": "sgdd"}, "no optimizer is called 'sgdd'"),
        ({"start": "nowhere"}, r"nowhere/model\.safetensors: no weights to continue from"),
        ({"schedule": {"ramp_start_tokens": 48, "ramp_tokens": 99}}, "over a power of two"),
        ({"packing": {"name": "buckets", "shortest": 500}}, "no power of two lies between"),
        ({"tokenizer": {"path": "none.json"}}, r"none\.json: not a tokenizer"),
    ],
)
def test_what_cannot_be_is_named(write, change, message):
    from leadsman.train.ladder import run_trunk

    with pytest.raises(InputError, match=message):
        run_trunk(load_recipe_file(write(RECIPE | change)).jobs[0])


@pytest.mark.slow
def test_a_killed_command_continues_to_the_same_run(write, tmp_path):
    settings = {"checkpoint_seconds": 0.05, "tokens": 64_000}
    undisturbed = write(RECIPE | settings | {"out": "undisturbed"})
    subprocess.run(leadsman("train", undisturbed), check=True, timeout=250)
    file = write(RECIPE | settings | {"out": "killed"})
    checkpoints = tmp_path / "killed" / "work" / "checkpoints"
    moments = np.random.default_rng(0).uniform(0, 0.8, size=3)  # seconds after a new checkpoint
    kills = 0
    for moment in moments:
        process = subprocess.Popen(leadsman("train", file))
        seen = {path: path.stat().st_mtime_ns for path in checkpoints.glob("*.pt")}
        while process.poll() is None:
            fresh = [p for p in checkpoints.glob("*.pt") if p.stat().st_mtime_ns != seen.get(p)]
            if fresh:
                time.sleep(moment)
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
                break
            time.sleep(0.01)
        process.wait()
    assert kills >= 2
    subprocess.run(leadsman("train", file), check=True, timeout=250)
    (one,) = Ledger(str(tmp_path / "undisturbed" / "ledger"))
    (other,) = Ledger(str(tmp_path / "killed" / "ledger"))
    assert one.losses == other.losses
    curves = [Ledger(str(tmp_path / o / "ledger")).curve(one.id) for o in ("undisturbed", "killed")]
    assert curves[0].equals(curves[1])
    assert (tmp_path / "killed" / "models" / one.id / "model.safetensors").exists()


def test_dry_run_tells_and_trains_nothing(write, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from leadsman.cli.main import app

    monkeypatch.setattr(
        "leadsman.train.machine_speed.probe_tokens_per_second", lambda seconds: 6_375
    )
    result = CliRunner().invoke(app, ["sound", str(write(LADDER)), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "24 runs from 12 trunks" in result.output
    assert "here with" in result.output
    assert not (tmp_path / "runs" / "ledger").exists()
