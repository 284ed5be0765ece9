"""The sizes of the small runs."""

import pytest

from leadsman.plan.project import SoundingSpec
from leadsman.plan.soundings import sounding_recipes, sounding_widths
from leadsman.runs import Mixture


def longest(spec: SoundingSpec, vocab_size: int):
    """The longest run of each size."""
    mixtures = [Mixture(name, {name: 1.0}) for name in spec.mixtures]
    recipes = sounding_recipes(spec, mixtures, vocab_size=vocab_size, data="", seed=0)
    found = {}
    for recipe in sorted(recipes, key=lambda recipe: recipe.tokens):
        found[recipe.shape.width] = recipe
    return [found[width] for width in sorted(found)]


@pytest.mark.parametrize(("minutes", "vocab_size"), [(6, 512), (6, 16384), (30, 2048)])
def test_tokens_a_parameter_straddle_the_rule_of_thumb_whatever_time_there_is(minutes, vocab_size):
    runs = longest(SoundingSpec(minutes=minutes), vocab_size)
    ratios = [run.tokens / run.shape.non_embedding_params for run in runs]
    assert len(runs) == 4
    assert ratios == sorted(ratios, reverse=True)
    # a width is a multiple of 8 and depth jumps by a layer, so ends lie within a factor of 1.6
    assert ratios[0] == pytest.approx(40, rel=0.6)
    assert ratios[-1] == pytest.approx(3, rel=0.6)
    assert max(run.flops for run in runs) < 1.02 * min(run.flops for run in runs)


def test_longer_soundings_are_of_larger_models():
    short, long = (longest(SoundingSpec(minutes=m), 2048) for m in (4, 40))
    assert all(one.shape.width < other.shape.width for one, other in zip(short, long, strict=True))


def test_named_widths_stay():
    spec = SoundingSpec(minutes=6, widths=(64, 32, 48))
    assert sounding_widths(spec, 2048) == (64, 32, 48)
    assert [run.shape.width for run in longest(spec, 2048)] == [32, 48, 64]
