"""Base models that cannot be continued: one clear sentence, before any work is done."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from leadsman.errors import InputError
from leadsman.plan import load_project
from leadsman.plan.soundings import looked_at
from leadsman.runs import ModelShape
from leadsman.train.hf import save_hf
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize
from leadsman.train.tokens import train_tokenizer

SHAPE = {"layers": 1, "width": 16, "heads": 1, "kv_heads": 1, "ffn_width": 32}


def base_model(folder: Path, *, vocab_size: int = 600, words: str = "base") -> None:
    """A model that reads 512 tokens, and its tokenizer of 520 entries."""
    draw = random.Random(words)
    texts = [" ".join(f"{words}{draw.randrange(10**6)}" for _ in range(40)) for _ in range(60)]
    model = Decoder(ModelShape(**SHAPE, vocab_size=vocab_size, seq_len=512))
    initialize(model, seed=0)
    save_hf(model, folder)
    train_tokenizer([texts], vocab_size=520, path=folder / "tokenizer.json")


@pytest.fixture
def given(tmp_path):
    base_model(tmp_path / "base")
    return {
        "sources": [{"name": "web", "path": "web.jsonl"}],
        "target": {"path": "target.jsonl"},
        "budget": {"flops": 1e12},
        "starts": [{"name": "base", "path": "base"}],
    }


def look(folder: Path, given: dict):
    file = folder / "leadsman.yaml"
    file.write_text(yaml.safe_dump(given))
    return looked_at(load_project(file))


def test_the_project_takes_the_tokenizer_of_its_start_and_runs_are_cut_to_its_length(
    tmp_path, given
):
    project, (start,) = look(tmp_path, given)
    assert project.tokenizer.vocab_size == start.vocab_size == 520
    assert start.spec.path == str(tmp_path / "base")  # beside the project file
    assert start.shape.seq_len == 256
    given["tokenizer"] = {"vocab_size": 520}  # the same is no contradiction
    assert look(tmp_path, given)[0].tokenizer.vocab_size == 520


def test_a_model_saved_by_leadsman_finds_the_tokenizer_of_its_working_directory(tmp_path, given):
    base_model(tmp_path / "work/models/abc")
    (tmp_path / "work/models/abc/tokenizer.json").rename(tmp_path / "work/tokenizer.json")
    given["starts"] = [{"name": "base", "path": "work/models/abc"}]
    assert look(tmp_path, given)[1][0].tokenizer == tmp_path / "work/tokenizer.json"


def test_a_model_in_several_files_is_the_same_start(tmp_path, given):
    """Saved again by transformers, in files of a few kilobytes with an index."""
    transformers = pytest.importorskip("transformers")
    one = look(tmp_path, given)[1][0]
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
    (tmp_path / "base/model.safetensors").unlink()
    model.save_pretrained(tmp_path / "base", max_shard_size="10KB")
    assert (tmp_path / "base/model.safetensors.index.json").exists()
    several = look(tmp_path, given)[1][0]
    assert several.shape == one.shape
    assert several.id != one.id  # an identity is that of the files
    next((tmp_path / "base").glob("model-00002*")).unlink()
    with pytest.raises(InputError, match="copy all files of the model"):
        look(tmp_path, given)


def test_without_starts_nothing_is_looked_at(tmp_path, given):
    del given["starts"]
    project, starts = look(tmp_path, given)
    assert starts == []
    assert project.tokenizer.vocab_size == 2048


def spoil_weights(folder: Path) -> None:
    weights = folder / "base/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])


def spoil_config(folder: Path, **changes) -> None:
    file = folder / "base/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "base/config.json").unlink(), "not a model in Hugging Face"),
        (spoil_weights, "not a model in Hugging Face format: .*(header|truncated|incomplete)"),
        (lambda folder: spoil_config(folder, model_type="gpt2"), "is 'gpt2'; this decoder has"),
        (lambda folder: spoil_config(folder, intermediate_size=64),
         "weights of .* configuration asks"),
        (lambda folder: spoil_config(folder, max_position_embeddings=64),
         "'base' reads sequences of at most 64 tokens; runs of a plan have 256"),
        (lambda folder: (folder / "base/tokenizer.json").unlink(),
         "start 'base' has no tokenizer there; put its tokenizer.json beside"),
        (lambda folder: (folder / "base/tokenizer.json").write_text("{"), "not a tokenizer.json"),
        (lambda folder: base_model(folder / "base", vocab_size=300),
         "has 520 entries, its model only 300; they do not belong together"),
    ],
)  # fmt: skip
def test_a_base_model_that_cannot_be_used_is_told_in_a_sentence(tmp_path, given, spoil, message):
    spoil(tmp_path)
    with pytest.raises(InputError, match=message) as told:
        look(tmp_path, given)
    assert str(tmp_path / "base") in str(told.value)


def test_starts_of_different_tokenizers_are_refused(tmp_path, given):
    base_model(tmp_path / "other", words="other")
    given["starts"].append({"name": "other", "path": "other"})
    with pytest.raises(InputError, match="'base' and 'other' have different tokenizers"):
        look(tmp_path, given)
    given["starts"][1]["tokenizer"] = "base/tokenizer.json"
    assert len(look(tmp_path, given)[1]) == 2


def test_another_vocabulary_is_refused(tmp_path, given):
    given["tokenizer"] = {"vocab_size": 2048}
    with pytest.raises(InputError, match="is 2,048, but a plan with starts takes their tokenizer"):
        look(tmp_path, given)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ([{"name": "a", "path": "base"}] * 2, "two starts are called 'a'"),
        ([{"name": "a b", "path": "base"}], "starts.0.name"),
        ([{"name": "a", "path": "base", "lr": []}], "starts.0.lr"),
        ([{"name": "a", "path": "base", "lr": [0.0]}], "starts.0.lr"),
        ([{"name": "a"}], "starts.0.path"),
    ],
)
def test_fields_are_checked(tmp_path, given, starts, message):
    given["starts"] = starts
    with pytest.raises(InputError, match=message):
        look(tmp_path, given)


def test_the_command_refuses_before_it_reads_any_text(tmp_path, given):
    spoil_weights(tmp_path)
    for name in ("web.jsonl", "target.jsonl"):
        (tmp_path / name).write_text('{"text": "some"}\n')
    (tmp_path / "leadsman.yaml").write_text(yaml.safe_dump(given))
    command = [sys.executable, "-m", "leadsman", "plan", str(tmp_path / "leadsman.yaml")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert "not a model in Hugging Face format" in " ".join(result.stderr.split())
    assert not (tmp_path / "work/corpora").exists()
