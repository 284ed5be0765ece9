"""Attention within documents: logits of a packed window are those of each document alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from leadsman.runs import Packing
from leadsman.train.feed import open_feed
from leadsman.train.held_out import held_out_loss
from leadsman.train.loop import Trainer
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize
from leadsman.train.stacked import StackedTrainer

SEPARATOR = 0


def trained_like(shape, seed=0):
    """A model whose every matrix matters (fresh ones begin with zero output matrices)."""
    model = Decoder(shape)
    initialize(model, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.2 * torch.randn(param.shape, generator=generator))
    return model


@pytest.mark.parametrize("ends", [[16], [5, 16], [1, 2, 9, 16], [16, 16], [3, 7, 8, 15]])
def test_logits_are_those_of_each_document_alone(recipe, ends):
    model = trained_like(recipe.shape)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, 320, (2, 16), generator=generator)
    begins = [0, *[end for end in ends if end < 16]]
    for begin in begins[1:]:
        tokens[0, begin] = SEPARATOR  # a document begins with the separator
    with torch.no_grad():
        packed = model(tokens, SEPARATOR)
        for begin, end in zip(begins, [*begins[1:], 16], strict=True):
            alone = model(tokens[:1, begin:end])
            torch.testing.assert_close(packed[:1, begin:end], alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(packed[1:], model(tokens[1:]), rtol=1e-5, atol=1e-5)
        if len(begins) > 1:
            assert not torch.allclose(packed[:1], model(tokens[:1]), atol=1e-3)


def test_compiled_attention_masks_alike(recipe):
    model = trained_like(recipe.shape)
    tokens = torch.randint(0, 4, (3, 16), generator=torch.Generator().manual_seed(2))
    compiled = torch.compile(Decoder.forward, dynamic=False, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(
            compiled(model, tokens, SEPARATOR), model(tokens, SEPARATOR), rtol=1e-5, atol=1e-5
        )


def test_training_uses_the_mask_and_reads_the_same_windows(new_recipe, token_sets):
    stream = new_recipe()
    masked = replace(stream, packing=Packing(name="documents"))
    assert stream.id != masked.id
    trainers = [Trainer(recipe, token_sets) for recipe in (stream, masked)]
    assert trainers[1].feed.separator == token_sets["prose"].manifest.end_of_text
    assert (trainers[0].feed.batch(3) == trainers[1].feed.batch(3)).all()
    assert trainers[0].feed.epochs(9) == trainers[1].feed.epochs(9)
    for trainer, recipe in zip(trainers, (stream, masked), strict=True):
        trainer.advance(recipe, 6)
    assert trainers[0].curve.loss[:1] == pytest.approx(trainers[1].curve.loss[:1])
    assert trainers[0].curve.loss[3:] != trainers[1].curve.loss[3:]
    stack = StackedTrainer([masked, replace(masked, seed=9)], token_sets)
    stack.advance([masked, replace(masked, seed=9)], 6)
    assert stack.curves[0].loss == pytest.approx(trainers[1].curve.loss, rel=1e-4)


def test_held_out_loss_within_documents(recipe, token_sets):
    model = trained_like(recipe.shape)
    across = held_out_loss(model, token_sets["code"])
    within = held_out_loss(model, token_sets["code"], across_documents=False)
    assert (within.tokens, within.bytes) == (across.tokens, across.bytes)
    assert within.loss != across.loss


def test_the_feed_knows_no_separator_otherwise(recipe, token_sets):
    assert open_feed(recipe, token_sets).separator is None
