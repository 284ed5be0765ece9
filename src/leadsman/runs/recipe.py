"""Everything that defines a training run, and the name that follows from it.

A recipe's ``id`` is a hash of its contents, so the same recipe is the same run: the ledger knows
what is already done, and a second command continues where the first was stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from leadsman.errors import InputError
from leadsman.runs.batches import BatchPlan
from leadsman.runs.shape import ModelShape

MODEL_VERSION = 1
"""Raised whenever the decoder, its initial values or the rates by width change: the same recipe
then gives another model and must have another id. A test holds the number to what it stands for.
"""

Precision = Literal["float32", "bf16"]
"""Of the matrix products in training: single, or bfloat16 under autocast."""


@dataclass(frozen=True)
class Mixture:
    """Proportions in which token sources are drawn.

    Attributes:
        name: what people call it (``natural``, ``uniform``, ``selected``, ...).
        weights: share of the tokens from each source; zero or more, scaled to sum to 1.

    Raises:
        InputError: no source, a negative weight, or all weights zero.

    >>> dict(Mixture("mine", {"code": 3.0, "prose": 1.0}).weights)
    {'code': 0.75, 'prose': 0.25}
    """

    name: str
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        for source, weight in self.weights.items():
            if not weight >= 0:
                raise InputError(
                    f"weight of {source!r} is {weight}; it must be zero or more", column="mixture"
                )
        total = sum(self.weights.values())
        if not 0 < total < float("inf"):
            raise InputError(f"mixture {self.name!r} has no source with a weight", column="mixture")
        if abs(total - 1) < 1e-9:
            total = 1.0  # scaled before: scaling again would move the last digit, and every id
        scaled = {source: weight / total for source, weight in sorted(self.weights.items())}
        object.__setattr__(self, "weights", MappingProxyType(scaled))

    def __reduce__(self) -> tuple[Any, ...]:
        return Mixture, (self.name, dict(self.weights))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Learning rate and batch size over a run; the equations are in :mod:`leadsman.train.schedule`.

    Attributes:
        name: ``wsd`` (warm up, stay, decay), ``power``, ``cosine`` or ``constant``.
        warmup_tokens: tokens of linear warm-up.
        start_lr_ratio: learning rate the warm-up begins at, as a share of the peak; zero, or for a
            continued run the rate the first one ended with.
        decay_fraction: share of all tokens spent in the final decay (``wsd`` and ``power``).
        final_lr_ratio: learning rate at the end, as a share of the rate before the decay.
        power_amplitude, power_exponent: of the ``power`` schedule; the batch is counted in
            sequences of 4,096 tokens, as in its paper.
        ramp_start_tokens: batch of the first step; 0 is the full batch from the start.
        ramp_tokens: tokens over which the batch grows to ``batch_tokens`` by doublings.

    Raises:
        InputError: a share outside [0, 1], or a ramp that does not say both its numbers.
    """

    name: Literal["wsd", "power", "cosine", "constant"] = "wsd"
    warmup_tokens: int = 0
    start_lr_ratio: float = 0.0
    decay_fraction: float = 0.2
    final_lr_ratio: float = 0.0
    power_amplitude: float = 4.6
    power_exponent: float = -0.51
    ramp_start_tokens: int = 0
    ramp_tokens: int = 0

    def __post_init__(self) -> None:
        for name in ("start_lr_ratio", "decay_fraction", "final_lr_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"must be from 0 to 1, not {getattr(self, name)}", column=f"schedule.{name}"
                )
        if (self.ramp_start_tokens > 0) != (self.ramp_tokens > 0):
            raise InputError(
                "a batch ramp needs both ramp_start_tokens and ramp_tokens",
                column="schedule.ramp_tokens",
            )


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How documents become training sequences.

    Attributes:
        name: ``stream`` (windows of the token stream, attention sees all of it), ``documents``
            (the same windows, attention stays within a document) or ``buckets`` (sequences of
            one document each, of power-of-two lengths: dataset decomposition).
        curriculum: for buckets, in which order lengths come within a cycle.
        cycle_tokens: for buckets, tokens of a cycle; every cycle holds all lengths in proportion.
        shortest: for buckets, the shortest length; shorter remainders are not trained on.

    Raises:
        InputError: buckets without a cycle.
    """

    name: Literal["stream", "documents", "buckets"] = "stream"
    curriculum: Literal["natural", "grow-linear", "grow-p2", "grow-p100", "shrink-p100"] = "natural"
    cycle_tokens: int = 0
    shortest: int = 16

    def __post_init__(self) -> None:
        if self.name == "buckets" and self.cycle_tokens < 1:
            raise InputError(
                "buckets need cycle_tokens, an eighth of the run's tokens, say",
                column="packing.cycle_tokens",
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines one training run.

    Attributes:
        shape: the model.
        mixture: sources and proportions.
        data: identity of the tokenised data the mixture's sources refer to (a hash).
        tokens: training tokens, warm-up and decay included.
        batch_tokens: tokens in one optimizer step; a multiple of ``shape.seq_len``.
        lr: peak learning rate.
        schedule: learning rate and batch size over the run.
        packing: how documents become sequences.
        start: identity of the weights the run continues from (a hash); empty for a fresh start.
        optimizer: registered optimizer name.
        weight_decay: decoupled weight decay.
        grad_clip: global norm above which gradients are scaled down.
        methods: training methods switched on, by name, with their hyperparameters.
        precision: ``float32``, or ``bf16`` autocast.
        seed: of initialisation and data order.
        model_version: of the decoder and its initial values (:data:`MODEL_VERSION`).
    """

    shape: ModelShape
    mixture: Mixture
    data: str
    tokens: int
    batch_tokens: int
    lr: float
    schedule: Schedule = field(default_factory=Schedule)
    packing: Packing = field(default_factory=Packing)
    start: str = ""
    optimizer: str = "adamw"
    weight_decay: float = 0.1
    grad_clip: float = 1.0
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    precision: Precision = "float32"
    seed: int = 0
    model_version: int = MODEL_VERSION

    def __post_init__(self) -> None:
        if self.batch_tokens < 1 or self.batch_tokens % self.shape.seq_len:
            raise InputError(
                f"{self.batch_tokens} is not a multiple of the sequence length "
                f"{self.shape.seq_len}",
                column="batch_tokens",
            )
        first = self.schedule.ramp_start_tokens or self.batch_tokens
        if first % self.shape.seq_len:
            raise InputError(
                f"{first} is not a multiple of the sequence length {self.shape.seq_len}",
                column="schedule.ramp_start_tokens",
            )
        if self.tokens < first:
            raise InputError(
                f"{self.tokens} tokens are less than one batch of {first}", column="tokens"
            )
        if not 0 < self.lr < float("inf"):
            raise InputError(f"must be above zero, not {self.lr}", column="lr")
        _ = self.batches  # raises if the ramp cannot be

    @cached_property
    def batches(self) -> BatchPlan:
        """Batch size by step."""
        start = self.schedule.ramp_start_tokens or self.batch_tokens
        return BatchPlan(self.batch_tokens, start, self.schedule.ramp_tokens)

    @property
    def steps(self) -> int:
        """Optimizer steps: as many whole batches as ``tokens`` hold."""
        return self.batches.steps_within(self.tokens)

    @property
    def trained_tokens(self) -> int:
        """Tokens in all steps: ``tokens`` rounded down to whole batches."""
        return self.batches.tokens_at(self.steps)

    @property
    def flops(self) -> float:
        """Training compute in FLOPs, counted from the shape, attention included."""
        return self.trained_tokens * self.shape.train_flops_per_token

    @property
    def id(self) -> str:
        """Hash of the contents (16 hex digits): the same recipe has the same id anywhere."""
        return _digest(self.to_dict())

    @property
    def trunk_id(self) -> str:
        """Hash of what recipes share that differ in ``tokens`` only (a branched WSD ladder)."""
        return _digest(self.to_dict() | {"tokens": None})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["shape"] = asdict(self.shape)
        plain["schedule"] = asdict(self.schedule)
        plain["packing"] = asdict(self.packing)
        plain["mixture"] = {"name": self.mixture.name, "weights": dict(self.mixture.weights)}
        plain["methods"] = {name: dict(options) for name, options in sorted(self.methods.items())}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Recipe:
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: a field is unknown, missing, or holds a value that cannot be.
        """
        values: dict[str, Any] = {"packing": {}, "model_version": 0} | dict(plain)
        try:
            values["shape"] = ModelShape(**values["shape"])
            values["schedule"] = Schedule(**values["schedule"])
            values["packing"] = Packing(**values["packing"])
            values["mixture"] = Mixture(**values["mixture"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise InputError(f"not a recipe: {error}") from error


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
