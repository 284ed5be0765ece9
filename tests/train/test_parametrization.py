from __future__ import annotations

import numpy as np
import pytest
import torch

from leadsman.runs import Schedule
from leadsman.train.defaults import shape_of_width
from leadsman.train.loop import Trainer
from leadsman.train.parametrization import param_groups

WIDTHS = (64, 128, 256, 512)


def movement(
    new_recipe, token_sets, width: int, tied: bool, optimizer: str = "adamw"
) -> tuple[float, float]:
    """Root mean square change of logits and of the last block's output over four steps."""
    shape = shape_of_width(width, vocab_size=320, seq_len=16)
    shape = shape.__class__(**vars(shape) | {"layers": 2, "tie_embeddings": tied})
    recipe = new_recipe(
        shape=shape, lr=0.005, schedule=Schedule(name="constant"), optimizer=optimizer
    )
    trainer = Trainer(recipe, token_sets)
    ids = torch.from_numpy(trainer.feed.order.sequences(500, 8))[:, :-1]
    outputs = []
    trainer.model.stack[-1].register_forward_hook(lambda *call: outputs.append(call[2].detach()))
    seen = []
    for steps in (0, 4):
        trainer.advance(recipe, steps)
        with torch.no_grad():
            seen.append((trainer.model(ids), outputs[-1]))
    (logits0, hidden0), (logits1, hidden1) = seen
    return (
        float((logits1 - logits0).square().mean().sqrt()),
        float((hidden1 - hidden0).square().mean().sqrt()),
    )


@pytest.mark.parametrize(
    ("tied", "optimizer", "most"),
    # With AdamW's rates Muon would move the blocks with -0.09.
    [(True, "adamw", 0.25), (False, "adamw", 0.25), (True, "muon", 0.05)],
)
def test_coordinates_move_alike_at_every_width(new_recipe, token_sets, tied, optimizer, most):
    moved = np.array([movement(new_recipe, token_sets, width, tied, optimizer) for width in WIDTHS])
    slopes = np.polyfit(np.log(WIDTHS), np.log(moved), 1)[0]
    # muP: exponent 0 in width. The standard parametrization moves them with 0.5 to 1 (next test).
    assert np.abs(slopes).max() < most, (slopes, moved)


def test_without_mup_they_do_not(new_recipe, token_sets, monkeypatch):
    monkeypatch.setattr("leadsman.train.parametrization.width_multiplier", lambda shape: 1.0)
    moved = np.array([movement(new_recipe, token_sets, width, False) for width in WIDTHS])
    slopes = np.polyfit(np.log(WIDTHS), np.log(moved), 1)[0]
    assert slopes.max() > 0.4, (slopes, moved)


def test_every_parameter_is_in_one_group_and_shrinks_alike(new_recipe, token_sets):
    shrinkage = []
    for width in (64, 256):
        recipe = new_recipe(
            shape=shape_of_width(width, vocab_size=320, seq_len=16), weight_decay=0.2
        )
        trainer = Trainer(recipe, token_sets)
        groups = param_groups(trainer.model, recipe)
        members = [param for group in groups for param in group["params"]]
        assert len(members) == len(list(trainer.model.parameters()))
        assert len({id(param) for param in members}) == len(members)
        shrinkage += [g["lr"] * g["weight_decay"] for g in groups if g["weight_decay"]]
    assert shrinkage == pytest.approx([recipe.lr * 0.2] * len(shrinkage))
