"""The fields of recipe and ladder files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from leadsman.strict_yaml import Strict
from leadsman.train.defaults import WARMUP_TOKENS


class ModelFile(Strict):
    """The model: a width, and what to change of the shape that follows from it."""

    width: int = Field(ge=2)
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    ffn_width: int | None = None
    tie_embeddings: bool = True


class ScheduleFile(Strict):
    """Learning rate and batch size over the run."""

    name: Literal["wsd", "power", "cosine", "constant"] = "wsd"
    warmup_tokens: int = Field(WARMUP_TOKENS, ge=0)
    start_lr_ratio: float = Field(0.0, ge=0, le=1)
    decay_fraction: float = Field(0.2, gt=0, le=1)
    final_lr_ratio: float = Field(0.0, ge=0, le=1)
    power_amplitude: float = Field(4.6, gt=0)
    power_exponent: float = Field(-0.51, le=0)
    ramp_start_tokens: int = Field(
        0, ge=0, description="first batch; it doubles up to the full one"
    )
    ramp_tokens: int = Field(0, ge=0)


class PackingFile(Strict):
    """How documents become sequences."""

    name: Literal["stream", "documents", "buckets"] = "stream"
    curriculum: Literal["natural", "grow-linear", "grow-p2", "grow-p100", "shrink-p100"] = "grow-p2"
    cycle_tokens: int | None = Field(None, ge=1, description="default: an eighth of the tokens")
    shortest: int = Field(16, ge=1)


class TokenizerFile(Strict):
    """An existing ``tokenizer.json``, or the size of one to train on the sources."""

    path: str | None = None
    vocab_size: int = Field(2048, ge=257)


class DataFile(Strict):
    """What recipe and ladder files share."""

    sources: dict[str, str] = Field(min_length=1)
    held_out: dict[str, str] = Field(min_length=1)
    tokenizer: TokenizerFile = TokenizerFile()
    out: str = Field("runs", description="directory for tokens, ledger, checkpoints and models")
    seq_len: int = Field(256, ge=2)
    batch_tokens: int | None = Field(None, ge=1)
    schedule: ScheduleFile | None = Field(
        None, description="default: wsd; with `start`, re-warming and a cosine"
    )
    packing: PackingFile = PackingFile()
    start: str | None = Field(None, description="model folder whose weights the run continues")
    optimizer: str = "adamw"
    weight_decay: float | None = Field(None, ge=0)
    grad_clip: float = Field(1.0, gt=0)
    methods: dict[str, dict[str, Any]] = Field({})
    precision: Literal["float32", "bf16"] | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1, description="threads of one run")
    compiled: bool | None = None
    checkpoint_seconds: float = Field(60.0, ge=0)


class RecipeFile(DataFile):
    """One run."""

    model: ModelFile
    mixture: dict[str, float] | None = Field(None, description="default: by tokens")
    tokens: int = Field(ge=1)
    lr: float | None = Field(None, gt=0)
    seed: int = Field(0, ge=0)


class LadderFile(DataFile):
    """A design of runs: every combination of the lists."""

    widths: list[int] = Field(min_length=1)
    mixtures: dict[str, dict[str, float]] = Field({}, description="default: natural, by tokens")
    tokens: list[int] = Field(min_length=1)
    lrs: list[float] = Field([])
    seeds: list[int] = Field([0], min_length=1)
    stop_margin: float | None = Field(
        None,
        gt=0,
        description="give up runs whose curve leads this share above that of another lr",
    )
