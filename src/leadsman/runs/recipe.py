"""Everything that defines a training run, and the name that follows from it.

A recipe's ``id`` is a hash of its contents, so the same recipe is the same run: the ledger knows
what is already done, and a second command continues where the first was stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from leadsman.errors import InputError
from leadsman.runs.shape import ModelShape


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
    """Learning rate over a run.

    Attributes:
        name: ``wsd`` (warm up, stay, decay), ``cosine`` or ``constant``.
        warmup_tokens: tokens of linear warm-up from zero.
        decay_fraction: share of all tokens spent in the final decay (``wsd`` only).
        final_lr_ratio: learning rate at the end, as a share of the peak.
    """

    name: Literal["wsd", "cosine", "constant"] = "wsd"
    warmup_tokens: int = 0
    decay_fraction: float = 0.2
    final_lr_ratio: float = 0.0


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
        schedule: learning rate over the run.
        optimizer: registered optimizer name.
        weight_decay: decoupled weight decay.
        grad_clip: global norm above which gradients are scaled down.
        methods: training methods switched on, by name, with their hyperparameters.
        precision: ``float32``, or ``bf16`` autocast.
        seed: of initialisation and data order.
    """

    shape: ModelShape
    mixture: Mixture
    data: str
    tokens: int
    batch_tokens: int
    lr: float
    schedule: Schedule = field(default_factory=Schedule)
    optimizer: str = "adamw"
    weight_decay: float = 0.1
    grad_clip: float = 1.0
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    precision: Literal["float32", "bf16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_tokens < 1 or self.batch_tokens % self.shape.seq_len:
            raise InputError(
                f"{self.batch_tokens} is not a multiple of the sequence length "
                f"{self.shape.seq_len}",
                column="batch_tokens",
            )
        if self.tokens < self.batch_tokens:
            raise InputError(
                f"{self.tokens} tokens are less than one batch of {self.batch_tokens}",
                column="tokens",
            )
        if not 0 < self.lr < float("inf"):
            raise InputError(f"must be above zero, not {self.lr}", column="lr")

    @property
    def steps(self) -> int:
        """Optimizer steps; ``tokens`` rounded down to whole batches."""
        return self.tokens // self.batch_tokens

    @property
    def flops(self) -> float:
        """Training compute in FLOPs, counted from the shape, attention included."""
        return self.steps * self.batch_tokens * self.shape.train_flops_per_token

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
        plain["mixture"] = {"name": self.mixture.name, "weights": dict(self.mixture.weights)}
        plain["methods"] = {name: dict(options) for name, options in sorted(self.methods.items())}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Recipe:
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: a field is unknown, missing, or holds a value that cannot be.
        """
        values = dict(plain)
        try:
            values["shape"] = ModelShape(**values["shape"])
            values["schedule"] = Schedule(**values["schedule"])
            values["mixture"] = Mixture(**values["mixture"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise InputError(f"not a recipe: {error}") from error


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
