"""A changed default must change recipe ids: the version stands for what this test computes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import pytest
import torch

from leadsman.errors import InputError
from leadsman.runs import MODEL_VERSION, Mixture, ModelShape, Recipe
from leadsman.train.loop import Trainer
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize, scale_and_decay

FINGERPRINTS = {1: "402929e80b416d96"}


def fingerprint() -> str:
    """Hash of initial values, rates by width and logits (in float64), to four digits."""
    parts: list[str] = []
    for width, tied in ((32, True), (96, True), (96, False)):
        sizes = {"layers": 2, "heads": 4, "kv_heads": 2, "ffn_width": 80, "vocab_size": 50}
        shape = ModelShape(**sizes, width=width, seq_len=12, tie_embeddings=tied)
        mixture = Mixture("m", {"a": 1})
        recipe = Recipe(shape=shape, mixture=mixture, data="", tokens=120, batch_tokens=12, lr=1.0)
        model = Decoder(shape).requires_grad_(False).double()
        initialize(model, seed=7)
        for name, param in model.named_parameters():
            values = [param.abs().sum(), param.norm(), *scale_and_decay(name, recipe)]
            parts += [name, *(f"{float(value):.4g}" for value in values)]
            param.add_(torch.linspace(-0.3, 0.3, param.numel()).sin().view_as(param))
        logits = model(torch.arange(24).view(2, 12) % 50)
        parts += [f"{float(logits.norm()):.4g}", f"{float(logits[..., 7].abs().sum()):.4g}"]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def test_the_version_stands_for_these_values():
    assert fingerprint() == FINGERPRINTS[MODEL_VERSION], (
        "the decoder, its initial values or its rates by width have changed: raise MODEL_VERSION "
        "in leadsman.runs.recipe and add the new fingerprint here"
    )


def test_the_fingerprint_sees_a_changed_constant(monkeypatch):
    monkeypatch.setattr("leadsman.train.parametrization.EMBEDDING_STD", 0.1001)
    assert fingerprint() != FINGERPRINTS[MODEL_VERSION]


def test_another_version_is_another_id_and_is_not_trained(recipe, token_sets):
    older = replace(recipe, model_version=0)
    assert older.id != recipe.id
    assert older.trunk_id != recipe.trunk_id
    with pytest.raises(InputError, match="of version 0 of the model"):
        Trainer(older, token_sets)


def test_a_recipe_from_before_the_number_says_so(recipe):
    plain = recipe.to_dict()
    for name in ("model_version", "packing", "start"):
        del plain[name]
    assert Recipe.from_dict(plain).model_version == 0
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert math.isfinite(recipe.flops)
