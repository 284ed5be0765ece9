import pytest

from leadsman.runs import Mixture, ModelShape, Recipe, Schedule


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        shape=ModelShape(
            layers=2, width=64, heads=4, kv_heads=4, ffn_width=192, vocab_size=1000, seq_len=256
        ),
        mixture=Mixture("natural", {"code": 3, "prose": 1}),
        data="d0",
        tokens=100_000,
        batch_tokens=4096,
        lr=0.01,
        schedule=Schedule(warmup_tokens=8192),
        seed=7,
    )
