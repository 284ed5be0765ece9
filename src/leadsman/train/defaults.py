"""Derived defaults: one dial, the width, gives the shape; the shape gives the recipe.

    layers        round(width / 32), three at least: up to width 104 all sizes are of one depth
    heads         round(width / 64), lowered until they divide the width evenly
    ffn_width     8/3 width, to the nearest 16
    batch_tokens  4 sequences of 256: at a few hundred steps a run, more steps beat larger batches
    lr            0.006 at every width (muP scales it, :mod:`leadsman.train.parametrization`)
    warm-up       16,384 tokens; weight decay 0.1; decay over the last 20 % of the tokens

Found by small trials on source code and docstrings at 50k to 800k parameters (docs/log.md, train).
"""

from __future__ import annotations

import math

from leadsman.errors import InputError
from leadsman.runs import Mixture, ModelShape, Precision, Recipe, Schedule
from leadsman.train.schedule import explain_schedule

LADDER_WIDTHS = (48, 72, 96, 128)
LEAST_LAYERS = 3
BATCH_TOKENS = 1024
LR = 0.006
WARMUP_TOKENS = 16_384
WEIGHT_DECAY = 0.1
DECAY_FRACTION = 0.2


def shape_of_width(
    width: int, *, vocab_size: int, seq_len: int, tie_embeddings: bool = True
) -> ModelShape:
    """The shape the rules above give a width.

    >>> shape_of_width(128, vocab_size=2048, seq_len=256).non_embedding_params
    779392
    """
    if width % 2:
        raise InputError(f"must be even, so that the heads' width is, not {width}", column="width")
    heads = max(1, round(width / 64))
    while width % heads or width // heads % 2:
        heads -= 1
    return ModelShape(
        layers=max(LEAST_LAYERS, round(width / 32)),
        width=width,
        heads=heads,
        kv_heads=heads,
        ffn_width=max(16, round(width * 8 / 3 / 16) * 16),
        vocab_size=vocab_size,
        seq_len=seq_len,
        tie_embeddings=tie_embeddings,
    )


def ladder_shapes(vocab_size: int, seq_len: int) -> list[ModelShape]:
    """Four shapes of about 80k to 800k non-embedding parameters, small to large.

    >>> [shape.non_embedding_params for shape in ladder_shapes(2048, 256)]
    [83280, 187128, 332448, 779392]
    """
    return [
        shape_of_width(width, vocab_size=vocab_size, seq_len=seq_len) for width in LADDER_WIDTHS
    ]


def shape_of_params(non_embedding_params: float, *, vocab_size: int, seq_len: int) -> ModelShape:
    """The shape by the rules above nearest (in ratio) to a number of non-embedding parameters.

    Widths are multiples of 8 up to 128, of 32 beyond.

    >>> shape_of_params(2e6, vocab_size=2048, seq_len=256).width
    160
    """
    if not 1 <= non_embedding_params < math.inf:
        raise InputError(
            f"must be a number of parameters, at least 1, not {non_embedding_params:g}",
            column="params",
        )
    top = 256 + 2 * round((non_embedding_params * 32 / 12) ** (1 / 3))
    widths = [*range(32, 128, 8), *range(128, top, 32)]
    shapes = [shape_of_width(width, vocab_size=vocab_size, seq_len=seq_len) for width in widths]
    return min(shapes, key=lambda s: abs(math.log(s.non_embedding_params / non_embedding_params)))


def default_recipe(
    shape: ModelShape,
    mixture: Mixture,
    data: str,
    tokens: int,
    *,
    seed: int,
    precision: Precision | None = None,
    schedule: Schedule | None = None,
    batch_tokens: int | None = None,
) -> Recipe:
    """A recipe with everything else derived.

    Args:
        shape: the model.
        mixture: sources and proportions.
        data: identity of the tokenised sources (:func:`leadsman.train.feed.data_id`).
        tokens: training tokens, warm-up and decay included.
        seed: of initialisation and data order.
        precision: ``bf16`` or ``float32``; by default what this machine is faster in
            (:func:`best_precision`).
        schedule: by default ``wsd`` with the values above.
        batch_tokens: tokens of a step.

    Raises:
        InputError: too few tokens for the warm-up and a decay.
    """
    if batch_tokens is None:
        batch_tokens = max(1, BATCH_TOKENS // shape.seq_len) * shape.seq_len
    if schedule is None:
        schedule = Schedule(name="wsd", warmup_tokens=WARMUP_TOKENS, decay_fraction=DECAY_FRACTION)
    before_decay = 1 - schedule.decay_fraction if schedule.name in ("wsd", "power") else 1.0
    least = math.ceil(schedule.warmup_tokens / max(before_decay, 1e-9)) + batch_tokens
    if tokens < least:
        raise InputError(f"{tokens} are too few; {least} are the least", column="tokens")
    return Recipe(
        shape=shape,
        mixture=mixture,
        data=data,
        tokens=tokens,
        batch_tokens=batch_tokens,
        lr=LR,
        schedule=schedule,
        weight_decay=WEIGHT_DECAY,
        precision=best_precision() if precision is None else precision,
        seed=seed,
    )


def explain(recipe: Recipe) -> list[str]:
    """The defaults of a recipe, one line each with its formula."""
    shape = recipe.shape
    return [
        f"layers {shape.layers} = round(width {shape.width} / 32), {LEAST_LAYERS} at least, "
        f"heads {shape.heads} = round(width / 64)",
        f"ffn_width {shape.ffn_width} = 8/3 width, to the nearest 16",
        f"batch_tokens {recipe.batch_tokens} = {recipe.batch_tokens // shape.seq_len} sequences",
        f"lr {recipe.lr:g} at width 64, times 64/width in the blocks (muP)",
        *explain_schedule(recipe),
    ]


def best_precision() -> Precision:
    """``bf16`` where the processor multiplies it in hardware (AVX512-bf16, AMX, CUDA)."""
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
