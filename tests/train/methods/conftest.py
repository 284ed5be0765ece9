"""Models with no zeros and no symmetry in them, so that every error shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from leadsman.runs import ModelShape
from leadsman.train.model import Decoder

SHAPE = ModelShape(
    layers=2, width=32, heads=4, kv_heads=2, ffn_width=48, vocab_size=320, seq_len=16
)


@pytest.fixture
def new_model():
    """A decoder with random weights everywhere, of the tests' shape but for ``changes``."""

    def make(*, seed: int = 0, **changes: object) -> Decoder:
        model = Decoder(replace(SHAPE, **changes))
        generator = torch.Generator().manual_seed(seed)
        for param in model.parameters():
            fan_in = param.shape[-1] if param.dim() == 2 else 4
            param.data.normal_(0.0, fan_in**-0.5, generator=generator)
            if param.dim() == 1:
                param.data.add_(1.0)
        return model

    return make


@pytest.fixture
def logits():
    """Logits of a model on fixed tokens."""
    tokens = torch.randint(0, 300, (3, 16), generator=torch.Generator().manual_seed(7))

    def of(model: Decoder) -> torch.Tensor:
        with torch.no_grad():
            return model(tokens)

    return of
