"""Models that transformers saved in several files: the same model, and clear words where not."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from leadsman.errors import InputError
from leadsman.runs import Mixture
from leadsman.train.defaults import default_recipe
from leadsman.train.hf import load_hf
from leadsman.train.start import load_start, start_id
from leadsman.train.weight_files import INDEX, weight_files

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def peer():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=301, max_position_embeddings=64,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


@pytest.fixture(scope="module")
def saved(peer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    peer.save_pretrained(folder, max_shard_size="30KB")
    assert len(list(folder.glob("model-*.safetensors"))) >= 4
    return folder


@pytest.fixture
def own(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def test_logits_are_those_of_transformers(peer, saved):
    tokens = torch.randint(301, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(
            load_hf(saved)(tokens), peer(tokens).logits, rtol=1e-5, atol=1e-5
        )


def test_weights_equal_those_of_one_file(peer, saved, tmp_path):
    peer.save_pretrained(tmp_path)
    assert [each.name for each in weight_files(tmp_path)] == ["model.safetensors"]
    whole, parts = load_hf(tmp_path), load_hf(saved)
    for name, param in whole.named_parameters():
        assert torch.equal(param, parts.get_parameter(name)), name


def test_a_single_file_goes_before_an_index(peer, own):
    """As transformers reads a folder that holds both."""
    peer.save_pretrained(own.parent / "one")
    shutil.copy(own.parent / "one/model.safetensors", own)
    assert [each.name for each in weight_files(own)] == ["model.safetensors"]


def test_every_file_counts_in_the_identity(own):
    before = start_id(own)
    assert len(before) == 16
    shape = load_hf(own).shape
    recipe = default_recipe(shape, Mixture("a", {"a": 1.0}), "d", 65_536, seed=0)
    assert load_start(replace(recipe, start=before), str(own)) is not None
    last = weight_files(own)[-1]
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(bytes(content))
    assert start_id(own) != before
    with pytest.raises(InputError, match=f"the recipe continues from {before}"):
        load_start(replace(recipe, start=before), str(own))


def without_a_file(folder):
    weight_files(folder)[1].unlink()


def with_index(content):
    return lambda folder: (folder / INDEX).write_text(content)


def cut_short(folder):
    file = weight_files(folder)[1]
    file.write_bytes(file.read_bytes()[:-100])


def without_a_weight(folder):
    index = json.loads((folder / INDEX).read_text())
    last = weight_files(folder)[-1].name
    index["weight_map"] = {k: v for k, v in index["weight_map"].items() if v != last}
    (folder / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_a_file, r"index\.json: names model-00002-of-\d+\.safetensors, which is not"),
        (with_index("{"), r"index\.json: not an index of weights"),
        (with_index("[]"), r"index\.json: not an index of weights"),
        (with_index('{"weight_map": {}}'), r"index\.json: names no file"),
        (with_index('{"weight_map": {"a": "../x/model.safetensors"}}'), "is not beside it"),
        (with_index('{"weight_map": {"a": 3}}'), r"index\.json: not an index of weights"),
        (cut_short, "not a model in Hugging Face format"),
        (without_a_weight, "is missing"),
    ],
)
def test_what_is_damaged_or_missing_is_told(own, spoil, message):
    spoil(own)
    with pytest.raises(InputError, match=message) as told:
        load_hf(own)
    assert "\n" not in str(told.value)
