"""Training losses by source, against losses computed one window at a time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from leadsman.runs import Mixture, Packing, Schedule
from leadsman.train.loop import Trainer
from leadsman.train.stacked import StackedTrainer

MIXTURE = Mixture("m", {"prose": 0.7, "code": 0.3})


def windows_of(tokens, length):
    """Every window of a token set, to tell which source a sequence is of."""
    ids = tokens.read(0, len(tokens))
    return {ids[start : start + length].tobytes() for start in range(len(ids) - length + 1)}


@pytest.mark.parametrize("packing", ["stream", "buckets"])
def test_the_loss_of_a_source_is_that_of_its_sequences(new_recipe, token_sets, packing):
    cycle = {"cycle_tokens": 640} if packing == "buckets" else {}
    recipe = new_recipe(
        mixture=MIXTURE, lr=1e-12, packing=Packing(name=packing, **cycle), tokens=64 * 12
    )
    trainer = Trainer(recipe, token_sets)
    trainer.advance(recipe, 12)
    curve = trainer.curve.frame()
    assert curve.columns == ["step", "tokens", "loss", "lr", "loss.code", "loss.prose"]
    for step, row in enumerate(curve.iter_rows(named=True)):
        batch = trainer.feed.batch(step)
        prose = windows_of(token_sets["prose"], batch.shape[1] - 1)
        of_prose = np.array([sequence[1:].tobytes() in prose for sequence in batch])
        with torch.no_grad():
            rows = torch.from_numpy(batch)
            separator = trainer.feed.separator
            losses = trainer.model.token_losses(rows[:, :-1], rows[:, 1:], separator).mean(1)
        for name, mine in (("prose", of_prose), ("code", ~of_prose)):
            if mine.any():
                expected = losses.numpy()[mine].mean()
                assert row[f"loss.{name}"] == pytest.approx(expected, rel=1e-5)
            else:
                assert row[f"loss.{name}"] is None
        assert row["loss"] == pytest.approx(losses.numpy().mean(), rel=1e-5)


def test_a_stack_tells_each_replicas_sources(new_recipe, token_sets):
    recipes = [new_recipe(mixture=MIXTURE, seed=seed, schedule=Schedule()) for seed in (0, 1)]
    stacked = StackedTrainer(recipes, token_sets)
    stacked.advance(recipes, 6)
    for number, recipe in enumerate(recipes):
        alone = Trainer(recipe, token_sets)
        alone.advance(recipe, 6)
        one, other = alone.curve.frame(), stacked.curves[number].frame()
        assert one.columns == other.columns
        for name in ("loss.prose", "loss.code"):
            assert one[name].is_null().to_list() == other[name].is_null().to_list()
            pairs = pl.DataFrame({"a": one[name], "b": other[name]}).drop_nulls()
            np.testing.assert_allclose(pairs["a"], pairs["b"], rtol=1e-4)


def test_one_source_needs_no_column_of_its_own(new_recipe, token_sets):
    recipe = new_recipe(mixture=Mixture("m", {"code": 1}), schedule=Schedule())
    trainer = Trainer(recipe, token_sets)
    trainer.advance(recipe, 2)
    assert trainer.curve.frame().columns == ["step", "tokens", "loss", "lr"]
