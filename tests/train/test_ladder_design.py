from __future__ import annotations

import pytest

from leadsman.errors import BudgetError
from leadsman.runs import Mixture
from leadsman.train.cost import estimate_job_seconds, estimate_ladder_seconds, estimate_seconds
from leadsman.train.ladder import plan_trunks
from leadsman.train.ladder.design import ladder_recipes
from leadsman.train.schedule import shared_steps

MIXTURES = [Mixture(name, {"a": share, "b": 1}) for name, share in [("x", 1), ("y", 2), ("z", 3)]]


def ladder(minutes: float, **options):
    return ladder_recipes(
        MIXTURES, "data", minutes=minutes, vocab_size=2048, seq_len=256, seed=0, **options
    )


def jobs_of(recipes):
    return plan_trunks(recipes, sources={}, held_out={}, ledger="", work="")


def test_a_ladder_takes_the_minutes_it_was_given():
    for minutes in (6, 10, 30):
        recipes = ladder(minutes, held_out_tokens=50_000)
        seconds = estimate_ladder_seconds(jobs_of(recipes), workers=2, held_out_tokens=50_000)
        # List scheduling jumps when a job moves to the other worker: a few per cent are left.
        assert 0.93 * 60 * minutes < seconds <= 60 * minutes


def test_a_ladder_has_equal_top_compute_and_shared_trunks():
    recipes = ladder(6)
    assert recipes == ladder(6)
    assert len(recipes) == 4 * 3 * 4
    jobs = jobs_of(recipes)
    assert len(jobs) == 12
    tops = [max(recipe.flops for recipe in job.recipes) for job in jobs]
    assert max(tops) / min(tops) < 1.02
    for job in jobs:
        alone = sum(recipe.flops for recipe in job.recipes)
        assert job.flops < 0.7 * alone
        assert all(shared_steps(recipe) > 0 for recipe in job.recipes)


def test_too_little_time_says_how_much_is_needed():
    with pytest.raises(BudgetError, match=r"0\.1 minutes are too few .* are the least") as error:
        ladder(0.1)
    least = float(str(error.value).split("mixtures; ")[1].split()[0])
    assert ladder(least + 0.1)


def test_estimates_add_up():
    recipes = ladder(6)
    (job, *_) = jobs_of(recipes[:1])
    assert estimate_job_seconds(job) == pytest.approx(estimate_seconds(recipes[0]))
    assert estimate_seconds(recipes[0], held_out_tokens=1000) > estimate_seconds(recipes[0])
