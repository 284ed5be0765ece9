"""What a job writes into the ledger: a finished run with its results, or why there are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from leadsman.runs import Ledger, Recipe, Run, RunStatus
from leadsman.train.ladder.job import TrunkJob
from leadsman.train.provenance import (
    device_name,
    energy_joules,
    now,
    peak_memory_bytes,
    written_with,
)
from leadsman.train.tokens import TokenSet

if TYPE_CHECKING:
    from leadsman.train.ladder.replicas import Replicas
    from leadsman.train.model import Decoder


def finished(ledger: Ledger, recipe: Recipe) -> bool:
    """Whether the ledger has the run, with results or stopped for good."""
    return recipe.id in ledger and ledger.get(recipe.id).status != "failed"


class Recorder:
    """Writes the runs of one job."""

    def __init__(self, job: TrunkJob, ledger: Ledger) -> None:
        self.job, self.ledger = job, ledger

    def add(
        self,
        recipe: Recipe,
        model: Decoder,
        trainer: Replicas,
        number: int,
        *,
        held_out: Mapping[str, TokenSet],
        device: str,
    ) -> None:
        """Evaluate a trained model and write its run.

        Args:
            recipe: what was trained.
            model: the plain Llama that came of it.
            trainer: where it stood at the end.
            number: which of its replicas.
            held_out: what to evaluate on.
            device: where training ran.
        """
        from leadsman.train.held_out import held_out_loss

        results = {
            name: held_out_loss(
                model,
                tokens,
                bf16=recipe.precision == "bf16",
                across_documents=recipe.packing.name == "stream",
            )
            for name, tokens in held_out.items()
        }
        if self.job.models:
            from leadsman.train.hf import save_hf

            save_hf(model, Path(self.job.models, recipe.id))
        seconds = trainer.seconds / len(trainer.curves)
        feed = trainer.feeds[number]
        settings = {f"unused.{name}": share for name, share in feed.unused().items()}
        settings["energy_joules"] = energy_joules(seconds, device=device, threads=self.job.threads)
        flops = trainer.train_flops(recipe, number)
        if flops != recipe.flops:
            settings["flops"] = flops
        run = Run(
            id=recipe.id,
            recipe=recipe,
            role=self.job.role,
            losses={name: result.loss for name, result in results.items()},
            bpb={name: result.bpb for name, result in results.items()},
            settings=settings,
            epochs=feed.epochs(recipe.steps),
            seconds=seconds,
            tokens_per_second=recipe.trained_tokens / seconds,
            peak_memory_bytes=peak_memory_bytes(device),
            device=device_name(device),
            versions=written_with(),
            created=now(),
        )
        self.ledger.add(run, curve=trainer.curves[number].frame())

    def add_failed(
        self,
        recipes: Iterable[Recipe],
        reason: str,
        *,
        status: RunStatus = "failed",
        curve: pl.DataFrame | None = None,
    ) -> None:
        """Write that these runs ended without a result; those that have one are left alone."""
        for recipe in recipes:
            if finished(self.ledger, recipe):
                continue
            run = Run(
                id=recipe.id,
                recipe=recipe,
                status=status,
                reason=reason,
                role=self.job.role,
                versions=written_with(),
                created=now(),
            )
            self.ledger.add(run, curve=curve)
