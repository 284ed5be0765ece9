"""One finished (or failed) recipe: a row in the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from leadsman.runs.recipe import Recipe

RunStatus = Literal["finished", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A recipe that was carried out, and what came of it.

    Attributes:
        recipe: what was run; ``None`` for a run imported from elsewhere.
        id: the recipe's id, or the importer's name for it.
        status: ``finished``, ``failed``, or ``stopped`` early because it was hopeless.
        reason: why it failed or was stopped, for a person.
        role: what it was for (``proxy``, ``final``, ``naive``, ``imported``, ...).
        losses: nats per token, by evaluation set.
        bpb: bits per byte, by evaluation set.
        scores: other results in [0, 1], by task.
        settings: numbers beside the recipe: what describes an imported run (``params``,
            ``tokens``, ...), an estimate of the energy used (``energy_joules``).
        epochs: passes over the readable part of each source.
        seconds: wall-clock time.
        tokens_per_second: training throughput.
        peak_memory_bytes: highest resident memory (host) or allocated memory (device).
        device: name of the processor or accelerator.
        versions: of Python, torch and Leadsman; ``git``, the commit it was started from.
        created: ISO 8601 time at which the run ended.
    """

    id: str
    recipe: Recipe | None = None
    status: RunStatus = "finished"
    reason: str = ""
    role: str = "proxy"
    losses: Mapping[str, float] = field(default_factory=dict)
    bpb: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, float] = field(default_factory=dict)
    epochs: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.nan
    tokens_per_second: float = math.nan
    peak_memory_bytes: int = 0
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; a value that is not a number becomes ``None``."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["recipe"] = None if self.recipe is None else self.recipe.to_dict()
        for name, value in plain.items():
            if isinstance(value, float) and not math.isfinite(value):
                plain[name] = None
            elif isinstance(value, Mapping) and name != "recipe":
                plain[name] = {
                    key: None if isinstance(item, float) and not math.isfinite(item) else item
                    for key, item in value.items()
                }
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Run:
        """The inverse of :meth:`to_dict`."""
        values = dict(plain)
        if values.get("recipe") is not None:
            values["recipe"] = Recipe.from_dict(values["recipe"])
        for name in ("seconds", "tokens_per_second"):
            if values.get(name) is None:
                values[name] = math.nan
        for name in ("losses", "bpb", "scores", "settings", "epochs"):
            values[name] = {
                key: math.nan if item is None else item
                for key, item in values.get(name, {}).items()
            }
        return cls(**values)

    def row(self) -> dict[str, Any]:
        """The run as one flat row: the columns every law and query knows.

        ``params`` is the non-embedding count, ``flops`` the exact training compute; mixture
        weights are ``mix.SOURCE``, results ``loss.SET`` (nats per token), ``bpb.SET``,
        ``score.TASK``.
        """
        row: dict[str, Any] = {
            "id": self.id,
            "status": self.status,
            "role": self.role,
            "reason": self.reason,
        }
        if self.recipe is not None:
            recipe = self.recipe
            row |= {
                "params": recipe.shape.non_embedding_params,
                "total_params": recipe.shape.params,
                "tokens": recipe.trained_tokens,
                "flops": recipe.flops,
                "mixture": recipe.mixture.name,
                "lr": recipe.lr,
                "batch_tokens": recipe.batch_tokens,
                "schedule": recipe.schedule.name,
                "optimizer": recipe.optimizer,
                "precision": recipe.precision,
                "seed": recipe.seed,
                "data": recipe.data,
            }
            row |= {f"shape.{name}": value for name, value in asdict(recipe.shape).items()}
            row |= {f"mix.{name}": weight for name, weight in recipe.mixture.weights.items()}
        row |= dict(self.settings)
        row |= {f"loss.{name}": value for name, value in self.losses.items()}
        row |= {f"bpb.{name}": value for name, value in self.bpb.items()}
        row |= {f"score.{name}": value for name, value in self.scores.items()}
        row |= {f"epochs.{name}": value for name, value in self.epochs.items()}
        row |= {
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second,
            "peak_memory_bytes": self.peak_memory_bytes,
            "device": self.device,
            "created": self.created,
        }
        return row
