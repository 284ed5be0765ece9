"""One job at work: train, branch, evaluate, write down; and continue after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from leadsman.engine import Engine
from leadsman.errors import LeadsmanError
from leadsman.files import Directory
from leadsman.runs import Ledger, Recipe, Run
from leadsman.train.checkpoint import load_checkpoint, save_checkpoint
from leadsman.train.device import check_memory, out_of_memory, resolve_device
from leadsman.train.ladder.job import TrunkJob, trunk_tokens
from leadsman.train.ladder.progress import PROGRESS_SECONDS, TrunkProgress, reporting
from leadsman.train.ladder.record import Recorder, finished
from leadsman.train.ladder.stopping import are_rivals, is_question, rivals_in, without_warmup
from leadsman.train.schedule import shared_steps
from leadsman.train.tokens import TokenSet

if TYPE_CHECKING:
    from leadsman.train.ladder.replicas import Replicas


def train_ladder(
    jobs: Sequence[TrunkJob],
    engine: Engine,
    *,
    on_progress: Callable[[Sequence[TrunkProgress]], None] | None = None,
) -> list[Run]:
    """Run all jobs on an engine; runs the ledger has finished are not redone.

    Args:
        jobs: from :func:`plan_trunks`.
        engine: where they run.
        on_progress: called twice a second from another thread with the state of every trunk.

    Returns:
        The runs of all recipes, failed ones included, in the order of the jobs.

    Raises:
        InputError: sources, mixture or shapes that cannot be trained on.
        EngineError: a worker died; the same call continues.
    """
    with reporting(jobs, on_progress):
        for _ in engine.map(run_trunk, jobs):
            pass
    return [Ledger(job.ledger).get(recipe.id) for job in jobs for recipe in job.all_recipes]


def run_trunk(job: TrunkJob) -> list[str]:
    """Train a job's trunks and their branches; returns the ids of its runs, all in the ledger.

    A run whose loss diverges is written as failed, and so are the longer ones of its trunk; other
    trunks of the stack go on. A run its stop rule calls hopeless is written as stopped.

    Raises:
        InputError: data and recipe do not fit, or a checkpoint cannot be read; the runs are
            written as failed with the reason.
    """
    ids = [recipe.id for recipe in job.all_recipes]
    ledger, name = Ledger(job.ledger), job.trunk_id
    if not Directory(job.work).exists(checkpoint_file(job)):
        job = without_finished(job, ledger)
    todo = [rung for rung in job.rungs if not all(finished(ledger, recipe) for recipe in rung)]
    if not todo:
        return ids
    recorder = Recorder(job, ledger)
    try:
        _Trunk(job, ledger, recorder, name).run(todo)
    except LeadsmanError as error:
        recorder.add_failed([recipe for rung in todo for recipe in rung], str(error))
        raise
    except (MemoryError, RuntimeError) as error:
        device = resolve_device(job.device)
        reason = out_of_memory(error, job.recipes[0], device, replicas=len(job.trunks))
        if not reason:
            raise
        recorder.add_failed([recipe for rung in todo for recipe in rung], reason)
    return ids


def checkpoint_file(job: TrunkJob) -> str:
    """Where a job's checkpoint stands under its work directory."""
    return f"checkpoints/{job.trunk_id}.pt"


def without_finished(job: TrunkJob, ledger: Ledger) -> TrunkJob:
    """The stack without the trunks whose runs are all done; one that is done whole stays."""
    left = [trunk for trunk in job.trunks if not all(finished(ledger, r) for r in trunk)]
    return replace(job, recipes=left[0], beside=tuple(left[1:])) if left else job


class _Trunk:
    """One job at work: the trainer, where it stands, and what a restart needs.

    ``name`` is that of the whole job, under which progress is told.
    """

    def __init__(self, job: TrunkJob, ledger: Ledger, recorder: Recorder, name: str) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self.job, self.ledger, self.recorder, self.name = job, ledger, recorder, name
        self.work = Directory(job.work)
        self.file = checkpoint_file(job)
        self.device = resolve_device(job.device)
        check_memory(
            job.recipes[0],
            self.device,
            replicas=len(job.trunks),
            branches=len(job.recipes) > 1,
        )
        self.held_out = {name: TokenSet(path) for name, path in job.held_out.items()}
        self.trainer = self._open_trainer()
        self.fork: dict[str, Any] | None = None
        self.branch = ""
        self.tokens_done = 0
        self.reported = 0.0
        self.written = time.monotonic()

    def _open_trainer(self) -> Replicas:
        from leadsman.train.ladder.replicas import OneReplica
        from leadsman.train.loop import Trainer
        from leadsman.train.stacked import StackedTrainer
        from leadsman.train.start import load_start

        job = self.job
        sources = {name: TokenSet(path) for name, path in job.sources.items()}
        if job.beside:
            firsts = [trunk[0] for trunk in job.trunks]
            return StackedTrainer(firsts, sources, device=self.device, compiled=job.use_compile)
        trainer = Trainer(
            job.recipes[0],
            sources,
            device=self.device,
            compiled=job.use_compile,
            start=load_start(job.recipes[0], job.start),
        )
        return OneReplica(trainer)

    def run(self, todo: Sequence[tuple[Recipe, ...]]) -> None:
        self._resume(todo)
        # A branch that was begun is ended first, even if shorter runs have been added since.
        todo = sorted(todo, key=lambda rung: rung[0].id != self.branch)
        for rung in todo:
            last = rung is todo[-1]
            if self.branch != rung[0].id:
                if self.trainer.step > shared_steps(rung[0]):
                    self.trainer = self._open_trainer()
                self._advance(rung, shared_steps(rung[0]))
                needed = self.job.keep_trunk or not last
                self.fork, self.branch = self.trainer.state() if needed else None, rung[0].id
            self._advance(rung, rung[0].steps)
            self._record(rung)
            if self.fork is not None:
                self.trainer.load(self.fork)
            elif not last:
                self.trainer = self._open_trainer()
            self.fork, self.branch = None, ""
        self._report()
        if self.job.keep_trunk and not self.trainer.ended:
            self._keep(todo[-1][0])
        else:
            self.work.remove(self.file)

    def _advance(self, rung: tuple[Recipe, ...], stop: int) -> None:
        def after_step() -> None:
            self._after_step(rung)

        self.trainer.advance(rung, stop, after_step=after_step)

    def _record(self, rung: tuple[Recipe, ...]) -> None:
        trainer = self.trainer
        for number, recipe in enumerate(rung):
            if number in trainer.ended:
                status, reason = trainer.ended[number]
                self.recorder.add_failed(
                    [recipe], reason, status=status, curve=trainer.curves[number].frame()
                )
            elif not finished(self.ledger, recipe):
                with trainer.evaluated(number) as model:
                    self.recorder.add(
                        recipe, model, trainer, number, held_out=self.held_out, device=self.device
                    )

    def _resume(self, todo: Sequence[tuple[Recipe, ...]]) -> None:
        left = trunk_tokens([rung[0] for rung in todo])
        self.tokens_done = self.job.tokens - len(self.job.trunks) * left
        if not self.work.exists(self.file):
            return
        saved = load_checkpoint(self.work, self.file, self.job.trunk_id, device=self.device)
        if saved["branch"] and saved["branch"] not in {rung[0].id for rung in todo}:
            # The branch got into the ledger before the kill: go on from where it left the trunk,
            # or from the beginning if longer runs have been added since.
            if saved["fork"] is None:
                return
            saved |= {"state": saved["fork"], "fork": None, "branch": ""}
        if saved.get("kept"):
            if saved["kept"] > shared_steps(todo[0][0]):
                return
            self.tokens_done += saved["tokens_done"]
        else:
            self.tokens_done = saved["tokens_done"]
        self.trainer.load(saved["state"])
        self.fork, self.branch = saved["fork"], saved["branch"]

    def _after_step(self, rung: tuple[Recipe, ...]) -> None:
        step = self.trainer.step
        self.tokens_done += len(rung) * rung[0].batches.batch_at(step - 1)
        if self.job.stop_rule is not None and is_question(rung[0], step):
            self._ask(rung)
        clock = time.monotonic()
        if clock - self.reported >= PROGRESS_SECONDS:
            self._report()
            self.reported = clock
        if clock - self.written >= self.job.checkpoint_seconds:
            self._save()
            self.written = time.monotonic()

    def _ask(self, rung: tuple[Recipe, ...]) -> None:
        """Ask the stop rule about every run that still goes on."""
        assert self.job.stop_rule is not None
        trainer = self.trainer
        curves = [
            without_warmup(recipe, curve.frame())
            for recipe, curve in zip(rung, trainer.curves, strict=True)
        ]
        verdicts = {}
        for number, recipe in enumerate(rung):
            if number in trainer.ended:
                continue
            beside = [
                curves[other]
                for other, rival in enumerate(rung)
                if other not in trainer.ended and are_rivals(recipe, rival)
            ]
            rivals = rivals_in(self.ledger, recipe) + beside
            tokens = recipe.batches.tokens_at(shared_steps(recipe))
            reason = self.job.stop_rule(curves[number], rivals, tokens=tokens) if rivals else ""
            if reason:
                verdicts[number] = reason
        for number, reason in verdicts.items():
            trainer.freeze(number, "stopped", f"stopped at step {trainer.step}: {reason}")

    def _save(self) -> None:
        self._write(
            state=self.trainer.state(copied=False),
            fork=self.fork,
            branch=self.branch,
            tokens_done=self.tokens_done,
        )

    def _keep(self, last: Recipe) -> None:
        """Leave the trunk where the last run left it."""
        steps = shared_steps(last)
        tokens = len(self.job.trunks) * last.batches.tokens_at(steps)
        state = self.trainer.state(copied=False)
        self._write(state=state, fork=None, branch="", tokens_done=tokens, kept=steps)

    def _write(self, **content: Any) -> None:
        save_checkpoint(self.work, self.file, {"trunk_id": self.job.trunk_id} | content)

    def _report(self) -> None:
        losses = [curve.loss[-1] for curve in self.trainer.curves if curve.loss]
        state = TrunkProgress(
            trunk_id=self.name,
            label=self.job.label,
            tokens=self.tokens_done,
            total_tokens=self.job.tokens,
            loss=sum(losses) / max(len(losses), 1),
            seconds=self.trainer.seconds,
        )
        self.work.write_json(f"progress/{self.name}.json", asdict(state))
