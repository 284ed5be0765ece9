"""Exports say the same as the recipe: to their tool's own parser, and in a real run."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from leadsman.errors import InputError, MethodError
from leadsman.plan.export import TOOLS, export_recipe, read_chosen
from leadsman.plan.export.common import Rates
from leadsman.runs import Mixture, ModelShape, Recipe, Schedule

SCHEMAS = Path(__file__).parent / "export_schemas.json"


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        shape=ModelShape(
            layers=2, width=48, heads=3, kv_heads=3, ffn_width=128, vocab_size=512, seq_len=64
        ),
        mixture=Mixture("mine", {"web": 3, "code": 1}),
        data="d0",
        tokens=100_000,
        batch_tokens=1024,
        lr=0.01,
        schedule=Schedule(warmup_tokens=8192),
        precision="float32",
        seed=3,
    )


def exported(recipe: Recipe, tool: str, out: Path, **options) -> Path:
    file = out / "in.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(recipe.to_dict()))
    export_recipe(read_chosen(file), tool, out / tool, **({"weights": False} | options))
    return out / tool


@pytest.mark.parametrize("tool", TOOLS)
def test_recipe_and_config_go_with_every_export(recipe, tmp_path, tool):
    out = exported(recipe, tool, tmp_path)
    assert Recipe.from_dict(json.loads((out / "recipe.json").read_text())) == recipe
    assert json.loads((out / "model/config.json").read_text())["hidden_size"] == 48
    notes = (out / "NOTES.md").read_text()
    assert "- web: 75.00 %" in notes
    assert "drawn by the tool" in notes


def test_rates_are_those_of_training(recipe):
    """The table of the exports against the groups the training loop makes."""
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import scale_and_decay

    for tied in (True, False):
        own = replace(recipe, shape=replace(recipe.shape, tie_embeddings=tied))
        rates = Rates.of(own)
        kinds = {"embedding": (rates.embedding, 0.0), "final_norm": (rates.final, 0.0),
                 "head": (rates.head, 0.0), "attention_norm": (rates.norm, 0.0),
                 "ffn_norm": (rates.norm, 0.0)}  # fmt: skip
        for name, _ in Decoder(own.shape).named_parameters():
            scale, decay = scale_and_decay(name, own)
            kind = kinds.get(name.rpartition(".")[2], (rates.matrix, rates.matrix_decay))
            assert (own.lr * scale, decay) == pytest.approx(kind), name


def script_of():
    from leadsman.plan.export import hf_script

    return hf_script


@pytest.mark.parametrize("name", ["wsd", "cosine", "constant"])
def test_schedule_of_the_script_is_that_of_training(recipe, name):
    from leadsman.train.schedule import lr_at

    ratios = {"start_lr_ratio": 0.2, "final_lr_ratio": 0.1}
    own = replace(recipe, schedule=Schedule(name=name, warmup_tokens=8192, **ratios))
    plain = own.to_dict()
    for step in range(own.steps):
        factor = script_of().factor_at(step, own.steps, plain)
        assert recipe.lr * factor == pytest.approx(lr_at(own, step)), step


def test_a_continued_run_is_exported_with_the_weights_it_continues(recipe, tmp_path):
    import torch

    from leadsman.train.hf import load_hf, save_hf
    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import initialize
    from leadsman.train.start import start_id

    base = Decoder(replace(recipe.shape, seq_len=128))  # read longer sequences than the run has
    initialize(base, seed=7)
    save_hf(base, tmp_path / "base")
    identity = start_id(tmp_path / "base")
    own = replace(recipe, start=identity, schedule=Schedule(warmup_tokens=8192, start_lr_ratio=0.1))
    starts = [{"weights": identity, "path": str(tmp_path / "base")}]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"chosen": {"recipe": own.to_dict()}, "starts": starts}))
    export_recipe(read_chosen(plan), "hf-trainer", tmp_path / "out")
    written = load_hf(tmp_path / "out/model")
    assert written.shape == recipe.shape
    for ours, theirs in zip(base.parameters(), written.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert str(tmp_path / "base") in (tmp_path / "out/NOTES.md").read_text()
    with pytest.raises(InputError, match="weights belong to it"):
        export_recipe(read_chosen(plan), "hf-trainer", tmp_path / "none", weights=False)
    (tmp_path / "recipe.json").write_text(json.dumps(own.to_dict()))
    with pytest.raises(InputError, match="say where they are"):
        export_recipe(read_chosen(tmp_path / "recipe.json"), "hf-trainer", tmp_path / "none")


def test_groups_of_the_script_are_those_of_training(recipe):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from leadsman.train.model import Decoder
    from leadsman.train.parametrization import scale_and_decay

    def amounts(groups):
        found: dict[tuple[float, float], int] = {}
        for lr, decay, size in groups:
            key = (round(lr, 12), round(decay, 12))
            found[key] = found.get(key, 0) + size
        return found

    model = LlamaForCausalLM(LlamaConfig(**recipe.shape.hf_config()))
    theirs = amounts(
        (group["lr"], group["weight_decay"], sum(each.numel() for each in group["params"]))
        for group in script_of().parameter_groups(model, recipe.to_dict())
    )
    ours = amounts(
        (recipe.lr * scale_and_decay(name, recipe)[0], scale_and_decay(name, recipe)[1], p.numel())
        for name, p in Decoder(recipe.shape).named_parameters()
    )
    assert theirs == ours
    assert isinstance(model.lm_head.weight, torch.Tensor)


def test_script_keeps_the_shares_at_every_moment(recipe, tmp_path):
    import numpy as np

    from leadsman.train.tokens import TokenSet  # noqa: F401  (the format this reads)

    places = {}
    for source, first in (("web", 0), ("code", 256)):
        place = tmp_path / source
        place.mkdir()
        ids = np.random.default_rng(0).integers(first, first + 256, 20_000).astype("uint16")
        ids.tofile(place / "tokens-00000.bin")
        (place / "manifest.json").write_text(json.dumps({"dtype": "uint16", "shards": [20_000]}))
        places[source] = str(place)
    data = script_of().Mixture(recipe.to_dict(), places)
    assert len(data) == recipe.steps * 16
    web = np.cumsum([data[number]["input_ids"].max() < 256 for number in range(400)])
    assert np.abs(web - 0.75 * np.arange(1, 401)).max() <= 1
    assert data[0]["input_ids"].shape == (65,)


def test_optimizer_or_method_the_tool_lacks_is_refused(recipe, tmp_path):
    with pytest.raises(MethodError, match="optimizer 'muon'"):
        exported(replace(recipe, optimizer="muon"), "litgpt", tmp_path)
    with pytest.raises(MethodError, match="training method gstack"):
        exported(replace(recipe, methods={"gstack": {}}), "axolotl", tmp_path)
    with pytest.raises(MethodError, match="power schedule"):
        exported(replace(recipe, schedule=Schedule(name="power")), "torchtitan", tmp_path)
    with pytest.raises(MethodError, match="start"):
        exported(replace(recipe, start="abc"), "litgpt", tmp_path)
    schedule = Schedule(warmup_tokens=8192, start_lr_ratio=0.1)
    with pytest.raises(MethodError, match="re-warming"):
        exported(replace(recipe, schedule=schedule, start="abc"), "axolotl", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.json", None, "there is no such file"),
        ("r.json", "{", "not JSON"),
        ("r.json", "[]", "holds neither a recipe nor a plan"),
        ("r.json", '{"lr": 1}', "holds no recipe"),
        ("plan.json", '{"chosen": {"forecast": {}}}', "holds neither a recipe nor a plan"),
    ],
)
def test_bad_recipe_is_one_clear_sentence(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        read_chosen(tmp_path / name)


def test_unknown_tool_and_missing_plan_are_named(recipe, tmp_path):
    with pytest.raises(InputError, match="'megatron' is not known; known are hf-trainer, axolotl"):
        exported(recipe, "megatron", tmp_path)
    with pytest.raises(InputError, match="has no plan yet"):
        read_chosen(tmp_path)


def flat(config: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in config.items():
        if isinstance(value, dict) and key not in ("init_args", "special_tokens"):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


@pytest.mark.parametrize("tool", ["axolotl", "litgpt"])
def test_every_field_is_one_the_tool_documents(recipe, tmp_path, tool):
    """Field names and types as read from the tool's own schema (source and version in the file)."""
    schema = json.loads(SCHEMAS.read_text())[tool]["fields"]
    config = yaml.safe_load((exported(recipe, tool, tmp_path) / f"{tool}.yaml").read_text())
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool,
             "array": list, "object": dict, "null": type(None)}  # fmt: skip
    for key, value in flat(config).items():
        assert key in schema, key
        assert any(isinstance(value, kinds[kind]) for kind in schema[key]), (key, value)


def peer(tool: str) -> str:
    """The Python of a virtual environment with the tool, in the directory LEADSMAN_PEERS."""
    python = Path(os.environ.get("LEADSMAN_PEERS", "/nowhere"), f"peers-{tool}/bin/python")
    if not python.exists():
        pytest.skip(
            f"set LEADSMAN_PEERS to a directory with peers-{tool}, where {tool} is installed"
        )
    return str(python)


def told_by(tool: str, code: str, place: Path) -> dict:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [peer(tool), "-c", code], cwd=place, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


LITGPT = """
import json
from jsonargparse import ArgumentParser
from litgpt.pretrain import setup
parser = ArgumentParser()
parser.add_function_arguments(setup)
parser.add_argument("--config", action="config")
made = parser.instantiate_classes(parser.parse_args(["--config", "litgpt.yaml"]))
from litgpt.model import GPT
model = GPT(made.model_config)
if made.train.tie_embeddings:
    model.lm_head.weight = model.transformer.wte.weight
print(json.dumps({"params": sum(p.numel() for p in set(model.parameters())),
                  "tokens": made.train.max_tokens, "batch": made.train.global_batch_size,
                  "lr": made.optimizer["init_args"]["lr"]}))
"""

AXOLOTL = """
import json, yaml
from axolotl.utils.schemas.config import AxolotlInputConfig
made = AxolotlInputConfig(**yaml.safe_load(open("axolotl.yaml")))
from transformers import AutoConfig, AutoModelForCausalLM
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(made.base_model))
print(json.dumps({"params": sum(p.numel() for p in model.parameters()), "lr": made.learning_rate,
                  "tokens": made.max_steps * made.micro_batch_size * made.sequence_len,
                  "batch": made.micro_batch_size * made.gradient_accumulation_steps}))
"""

TORCHTITAN = """
import json, re, sys
sys.path.insert(0, ".")
from torchtitan.config import ConfigManager
made = ConfigManager().parse_args(["--module", "leadsman_recipe", "--config", "recipe"])
import torch
with torch.device("meta"):
    model = made.model_spec.model.build()
names = [name for name, _ in model.named_parameters()]
groups = made.optimizer.param_groups
kinds = {next(g.optimizer_kwargs["lr"] for g in groups if re.search(g.pattern, name))
         for name in names}
print(json.dumps({"params": sum(p.numel() for p in set(model.parameters())),
                  "tokens": made.training.steps * made.training.global_batch_size *
                  made.training.seq_len, "batch": made.training.global_batch_size,
                  "lr": groups[-1].optimizer_kwargs["lr"], "rates": sorted(kinds)}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "code"), [("litgpt", LITGPT), ("axolotl", AXOLOTL), ("torchtitan", TORCHTITAN)]
)
def test_own_parser_of_the_tool_reads_the_same_run(recipe, tmp_path, tool, code):
    told = told_by(tool, code, exported(recipe, tool, tmp_path))
    assert told["params"] == recipe.shape.params
    assert told["tokens"] == recipe.steps * recipe.batch_tokens
    assert told["batch"] == recipe.batch_tokens // recipe.shape.seq_len
    rates = Rates.of(recipe)
    assert told["lr"] == pytest.approx(rates.matrix)
    if "rates" in told:
        assert told["rates"] == pytest.approx(sorted({rates.embedding, rates.norm, rates.matrix}))


@pytest.mark.slow
def test_hf_script_trains_the_same_model_from_the_same_start(recipe, tmp_path):
    """Run for real: as many parameters, the same initial weights and first loss, and it learns."""
    import torch
    from safetensors.torch import load_file

    from leadsman.corpus.harvest import harvest_source
    from leadsman.train.hf import load_hf
    from leadsman.train.tokens import tokenize_corpus, train_tokenizer

    harvest_source("stdlib-code", tmp_path, seed=0, max_bytes=300_000, revealed=1.0)
    lines = (tmp_path / "stdlib-code.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    work = tmp_path / "work"
    (work / "stages").mkdir(parents=True)
    tokenizer = train_tokenizer([texts], vocab_size=512, path=work / "tokenizer.json")
    for name in ("web", "code"):
        tokenize_corpus(texts, tokenizer, work / "tokens" / name)
    (work / "plan.json").write_text(json.dumps({"chosen": {"recipe": recipe.to_dict()}}))
    out = tmp_path / "out"
    export_recipe(read_chosen(tmp_path), "hf-trainer", out)
    result = subprocess.run(
        [sys.executable, "train.py", "--max_steps", "30", "--logging_steps", "1", "--use_cpu"],
        cwd=out, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads(result.stdout.splitlines()[0])["parameters"] == recipe.shape.params
    losses = [float(part.split("'")[0]) for part in result.stdout.split("'loss': '")[1:]]
    model = load_hf(out / "model")
    data = script_of().Mixture(recipe.to_dict(), json.loads((out / "tokens.json").read_text()))
    ids = torch.tensor([data[number]["input_ids"].tolist() for number in range(16)])
    with torch.no_grad():
        logits = model(ids[:, :-1])
    ours = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).item()
    assert losses[0] == pytest.approx(ours, rel=1e-3)  # printed to four digits
    assert losses[-1] < losses[0] - 0.3
    assert "model.norm.weight" in load_file(out / "output/model.safetensors")
