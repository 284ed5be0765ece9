"""Which methods are compared, with what settings, and what their papers claim.

One model (0.23M parameters), one set of text, 307,200 tokens in 300 steps for everybody. Each
method has four learning rates, a factor of two apart, tried with seed 0; the best is run with two
more seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leadsman.runs import ModelShape, Schedule

SHAPE = ModelShape(
    layers=3, width=64, heads=2, kv_heads=2, ffn_width=192, vocab_size=1024, seq_len=128
)
TOKENS, BATCH_TOKENS = 307_200, 1024
WARMUP_TOKENS = 16_384
SEEDS = (0, 1, 2)
ADAM_LRS = (0.002, 0.004, 0.008, 0.016)
LAW_LR = 0.008  # of the two runs to which the adaptive shape's laws are fitted
SIGN_LRS = (0.00025, 0.0005, 0.001, 0.002)
NARROW_TOKENS = 92_160  # tokens on the small model of the growing methods: 30 %


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the table.

    Attributes:
        label: what the row is called.
        claim: the paper's, in a few words.
        kind: ``baseline``; ``better`` (lower loss at equal tokens); ``equal`` (AdamW's loss without
            what AdamW needs); ``memory`` (close to AdamW's loss with less memory); ``compute``
            (lower loss than AdamW's at equal compute).
        optimizer, methods, schedule: of the recipe.
        lrs: tried with seed 0.
        untuned: the one that the claim names; the best of those tried if zero.
    """

    label: str
    claim: str
    kind: str
    optimizer: str = "adamw"
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schedule: str = "wsd"
    lrs: tuple[float, ...] = ADAM_LRS
    untuned: float = 0.0

    def recipe_schedule(self) -> Schedule:
        """Warm-up as everywhere, then this row's schedule."""
        return Schedule(name=self.schedule, warmup_tokens=WARMUP_TOKENS)  # type: ignore[arg-type]


def _optimizer(name: str, kind: str, claim: str, **rest: Any) -> Contender:
    options = rest.pop("options", None)
    return Contender(
        label=name,
        claim=claim,
        kind=kind,
        optimizer=name,
        methods={name: options} if options else {},
        **rest,
    )


def _method(label: str, kind: str, claim: str, name: str, **options: Any) -> Contender:
    return Contender(label=label, claim=claim, kind=kind, methods={name: options})


CONTENDERS = [
    _optimizer("adamw", "baseline", "the baseline"),
    _optimizer(
        "galore",
        "memory",
        "AdamW's perplexity with 65 % less optimizer state (7B)",
        options={"rank": 16, "refresh": 50, "scale": 1.0},
    ),
    _optimizer(
        "dct",
        "memory",
        "the quality of SVD projections with less memory and time",
        options={"rank": 16, "scale": 1.0},
    ),
    _method(
        "sltrain",
        "memory",
        "full-rank perplexity with few more parameters than low-rank (60M-7B)",
        "sltrain",
        rank=16,
        density=0.03,
        alpha=16.0,
    ),
    _method(
        "low_rank, plain",
        "memory",
        "the baseline of 3: worse than full rank",
        "low_rank",
        rank=16,
        refactor_every=0,
    ),
    _method(
        "low_rank",
        "memory",
        "refactorization and momentum reset: below GaLore's perplexity, 25 % less memory (1B)",
        "low_rank",
        rank=16,
        refactor_every=50,
    ),
    _method("monarch", "compute", "GPT-2 2x faster at equal perplexity", "monarch", blocks=4),
    _method(
        "monarch, then dense",
        "compute",
        "reverse sparsification: GPT-2 2x faster at equal perplexity",
        "monarch",
        blocks=4,
        dense_from_tokens=TOKENS * 9 // 10,
    ),
    _method(
        "gstack",
        "compute",
        "the loss of 300B tokens after 194B (7B, 4x depth; 1.55x faster)",
        "gstack",
        factor=3,
        after_tokens=NARROW_TOKENS,
    ),
    _method(
        "progressive_family",
        "compute",
        "a family for 25 % less compute at equal quality (1B-8B)",
        "progressive_family",
        sizes=[{"width": 32, "layers": 3, "tokens": NARROW_TOKENS}],
    ),
    Contender(
        label="adaptive_shape",
        claim="less compute to a loss than any one shape (ViT)",
        kind="compute",
        methods={"adaptive_shape": {}},
    ),
    _method(
        "loss_reweighting",
        "better",
        "lower loss at equal tokens (120M-7B)",
        "loss_reweighting",
        strategy="linupper",
        warmup_tokens=WARMUP_TOKENS,
    ),
    _optimizer("muon", "better", "AdamW's loss with half the compute (16B)"),
    _optimizer("soap", "better", "40 % fewer steps than AdamW (360M-660M)"),
    _optimizer("sophia", "better", "AdamW's loss in half the steps (125M-6.6B)", lrs=SIGN_LRS),
    _optimizer("lion", "better", "less compute than AdamW to the same loss", lrs=SIGN_LRS),
    _optimizer("signum", "equal", "close to Adam (compared in 395)", lrs=SIGN_LRS),
    _optimizer(
        "ademamix",
        "better",
        "AdamW's loss with half the tokens (1.3B)",
        options={"beta3": 0.99, "warmup_steps": TOKENS // BATCH_TOKENS},
    ),
    _optimizer("mars", "better", "below AdamW at equal tokens (GPT-2 125M-770M)"),
    _optimizer("adopt", "equal", "Adam's loss without depending on beta2"),
    _optimizer(
        "schedule_free",
        "equal",
        "no worse than a tuned schedule, without knowing the length",
        schedule="constant",
    ),
    _optimizer(
        "prodigy",
        "equal",
        "tuned Adam's loss at lr 1, untuned",
        lrs=(1.0, 2.0, 4.0, 8.0),
        untuned=1.0,
    ),
]
