"""What goes wrong at the command: one sentence, exit code 2, a failed run with the reason."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from leadsman.cli.main import run
from leadsman.runs import Ledger
from leadsman.train.files import load_recipe_file
from leadsman.train.tokens import tokenize_corpus, train_tokenizer

RECIPE = {
    "sources": {"prose": "prose.jsonl", "code": "code.jsonl"},
    "held_out": {"val": "code.jsonl"},
    "tokenizer": {"vocab_size": 300},
    "model": {"width": 32},
    "tokens": 24_000,
    "seq_len": 16,
    "batch_tokens": 64,
    "lr": 0.01,
    "schedule": {"warmup_tokens": 128},
    "precision": "float32",
}
LADDER = {k: v for k, v in RECIPE.items() if k not in ("model", "lr")} | {
    "widths": [32],
    "tokens": [2_000],
}


@pytest.fixture
def folder(texts, tmp_path, monkeypatch):
    """The texts, and a machine whose speed need not be measured."""
    monkeypatch.setattr(
        "leadsman.train.machine_speed.probe_tokens_per_second", lambda seconds: 12_750
    )
    for name, documents in texts.items():
        lines = [json.dumps({"text": document}) for document in documents]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "blank.jsonl").write_text('{"text": ""}\n')
    return tmp_path


def write(folder: Path, **changes: object) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(RECIPE | changes))
    return file


@pytest.fixture
def leadsman(capsys, monkeypatch):
    """Runs the command; returns its exit code, output and errors."""

    def command(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["leadsman", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        return ended.value.code, *capsys.readouterr()

    return command


@pytest.fixture
def refused(folder, leadsman):
    """Runs a command that must fail; returns what it said and its ledger."""

    def command(file: Path, verb: str = "train", *options: str) -> tuple[str, Ledger]:
        code, _, errors = leadsman(verb, file, *options)
        assert code == 2
        sentence = errors.strip().splitlines()[-1]
        assert sentence.startswith("leadsman: ")
        assert "Traceback" not in errors
        return sentence, Ledger(str(folder / "runs" / "ledger"))

    return command


def reason_in(ledger: Ledger) -> str:
    """Why the one run of the ledger failed."""
    (failed,) = ledger
    assert failed.status == "failed"
    assert failed.created
    return failed.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"width": 48, "heads": 5}}, "5 heads do not divide width 48"),
        ({"model": {"width": 32, "heads": 2, "kv_heads": 3}}, "3 key-value heads do not divide 2"),
        ({"mixture": {"code": 0}}, "has no source with a weight"),
        ({"mixture": {"code": 1, "books": 1}}, "draws from 'books', which has no tokens"),
        ({"sources": {"code": "empty.jsonl"}}, "empty.jsonl"),
        ({"sources": {"code": "code.jsonl", "prose": "blank.jsonl"}}, "'prose' has 1 tokens"),
        ({"lr": 1e6, "schedule": {"name": "constant", "warmup_tokens": 0}}, "diverged at step"),
        ({"model": {"width": 32_768, "layers": 96}}, "GB of memory are needed and cpu has"),
        ({"tokens": 20}, "20 are too few"),
        ({"optimizer": "adam"}, "no optimizer is called 'adam'"),
        ({"methods": {"sltrain": {"rank": 99}}}, "rank 99 is above the shortest side"),
        ({"methods": {"sltrain": {"rang": 4}}}, "rang"),
        (
            {"optimizer": "galore", "methods": {"galore": {"rank": 4}, "low_rank": {"rank": 4}}},
            "low_rank",
        ),
        (
            {
                "model": {"width": 32, "layers": 2},
                "methods": {"gstack": {"factor": 2, "after_tokens": 99_999}},
            },
            "raise tokens or grow earlier",
        ),
    ],
)
def test_what_cannot_be_is_told_and_kept(folder, refused, changes, message):
    sentence, ledger = refused(write(folder, **changes))
    assert message in sentence
    assert message in reason_in(ledger)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("verb", ["train", "sound"])
def test_a_gpu_that_is_absent(folder, refused, verb):
    file = write(folder, device="cuda")
    if verb == "sound":
        ladder = RECIPE | {"device": "cuda", "widths": [32], "tokens": [24_000], "lrs": [0.01]}
        file.write_text(
            yaml.safe_dump({k: v for k, v in ladder.items() if k not in ("model", "lr")})
        )
    sentence, ledger = refused(file, verb)
    assert "cuda is asked for, but torch sees no CUDA device here" in sentence
    assert "no CUDA device" in reason_in(ledger)


def test_token_sets_of_two_vocabularies(folder, refused, texts):
    for size in (300, 320):
        tokenizer = train_tokenizer(texts.values(), vocab_size=size, path=folder / f"{size}.json")
        tokenize_corpus(texts["code"], tokenizer, folder / f"tokens{size}")
    file = write(folder, sources={"code": "tokens300"}, held_out={"val": "tokens320"})
    sentence, ledger = refused(file)
    assert "different tokenizers (vocabularies [300, 320])" in sentence
    assert "different tokenizers" in reason_in(ledger)


def test_ids_outside_the_vocabulary(folder, refused, texts):
    tokenizer = train_tokenizer(texts.values(), vocab_size=300, path=folder / "t.json")
    tokenize_corpus(texts["code"], tokenizer, folder / "tokens")
    shard = folder / "tokens" / "tokens-00000.bin"
    ids = np.fromfile(shard, dtype=np.uint16)
    ids[5] = 4_000
    ids.tofile(shard)
    file = write(folder, sources={"code": "tokens"}, held_out={"val": "tokens"})
    sentence, ledger = refused(file)
    assert "vocabulary" in sentence
    assert "vocabulary" in reason_in(ledger)


@pytest.mark.parametrize("kind", ["truncated", "of another recipe", "not a checkpoint"])
def test_a_checkpoint_that_cannot_be_continued(folder, refused, kind):
    file = write(folder)
    job = load_recipe_file(file).jobs[0]
    checkpoint = Path(job.work, "checkpoints", f"{job.trunk_id}.pt")
    checkpoint.parent.mkdir(parents=True)
    torch.save({"trunk_id": "1234", "state": torch.zeros(1000)}, checkpoint)
    if kind == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-500])
    if kind == "not a checkpoint":
        checkpoint.write_text("hello")
    sentence, ledger = refused(file)
    told = "another recipe (1234" if kind == "of another recipe" else "not a whole checkpoint"
    assert told in sentence
    assert str(checkpoint) in sentence
    assert told in reason_in(ledger)
    checkpoint.unlink()


def test_a_model_to_continue_from_of_another_vocabulary(folder, refused, leadsman):
    code, *_ = leadsman("train", write(folder, tokens=2_000))
    assert code == 0
    (first,) = Ledger(str(folder / "runs" / "ledger"))
    shutil.move(folder / "runs" / "models" / first.id, folder / "model")
    shutil.rmtree(folder / "runs")
    changed = write(folder, start="model", tokenizer={"vocab_size": 320}, tokens=2_000)
    sentence, ledger = refused(changed)
    told = "the weights to continue from have vocab_size 300, the recipe 320"
    assert told in sentence
    assert told in reason_in(ledger)


def test_one_bad_run_of_a_ladder_fails_alone(folder, refused):
    constant = {"name": "constant", "warmup_tokens": 0}
    file = folder / "ladder.yaml"
    file.write_text(yaml.safe_dump(LADDER | {"lrs": [0.01, 1e6], "schedule": constant}))
    sentence, ledger = refused(file, "sound", "--workers", "1")
    assert "1 of 2 runs failed; diverged at step" in sentence
    assert {run.recipe.lr: run.status for run in ledger} == {0.01: "finished", 1e6: "failed"}


def test_a_dry_run_keeps_nothing(folder, refused):
    _, ledger = refused(write(folder, model={"width": 48, "heads": 5}), "train", "--dry-run")
    assert not ledger.ids()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_failed_run_is_shown_and_done_again_when_it_can_be(folder, refused, leadsman):
    _, ledger = refused(write(folder, tokens=2_000, device="cuda"))
    (run_id,) = ledger.ids()
    _, shown, _ = leadsman("runs", "show", run_id, "--ledger", ledger.location)
    assert "no CUDA device" in shown
    code, *_ = leadsman("train", write(folder, tokens=2_000))
    assert code == 0
    assert [one.status for one in ledger] == ["finished"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixture": {"code": 1, "books": 1}}, "1 of 1 runs would fail: .* draws from 'books'"),
        ({"device": "cuda"}, "torch sees no CUDA device here"),
        ({"model": {"width": 65_536}}, "1 of 1 runs would fail: .* GB of memory are needed"),
    ],
)
def test_a_dry_run_says_what_the_run_would_be_refused_for(
    folder, refused, monkeypatch, changes, message
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said, ledger = refused(write(folder, **changes), "train", "--dry-run")
    assert re.search(message, said)
    assert not list(ledger)


def test_a_misspelt_field_is_named_before_the_one_that_is_missing(folder, refused):
    file = write(folder)
    file.write_text(file.read_text().replace("\ntokens:", "\ntokns:"))
    said, _ = refused(file)
    assert "'tokns': unknown field; did you mean 'tokens'?" in said
