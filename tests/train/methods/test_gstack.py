from __future__ import annotations

import pytest
import torch

from leadsman.errors import MethodError
from leadsman.train.methods.gstack import GStack
from leadsman.train.model import Decoder, linear, rms_norm
from leadsman.train.parametrization import initialize


def test_the_grown_model_applies_the_small_ones_blocks_in_turn(new_recipe):
    small = Decoder(new_recipe().shape)
    initialize(small, seed=0)
    for param in small.parameters():
        param.data.add_(0.1)
    before = [param.clone() for param in small.parameters()]
    grown = GStack(factor=3).apply(small)
    assert grown.shape.layers == 3 * small.shape.layers
    tokens = torch.arange(16).view(1, 16)
    with torch.no_grad():
        x = small.embedding[tokens]
        for block in small.stack * 3:
            x = block(x, small.cos, small.sin)
        expected = linear(rms_norm(x, small.final_norm), small.embedding)
        torch.testing.assert_close(grown(tokens), expected)
    grown.embedding.data.zero_()
    assert all(torch.equal(p, b) for p, b in zip(small.parameters(), before))


def test_a_factor_below_one_is_refused():
    with pytest.raises(MethodError, match="factor must be between 0"):
        GStack(factor=0)
