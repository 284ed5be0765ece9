r"""Many runs from few trunks: recipes that differ in ``tokens`` only share their beginning.

    trunk   o------------o------o------------o          constant lr
                          \      \            \
    branches               o run  o run        o run    decay, evaluate, write to the ledger

Each run ends as if it had been trained alone, because no step before its decay depends on its
length and the branch starts from the trunk's exact state. One trunk is one job of an engine. A
job writes its progress and a checkpoint beside each other under ``work``; killed at any moment
and started again, it continues from there, and runs finished in the ledger are not redone.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leadsman.engine import Engine
from leadsman.errors import InputError, LeadsmanError
from leadsman.files import Directory
from leadsman.runs import Ledger, Recipe, Run
from leadsman.train.checkpoint import load_checkpoint, save_checkpoint
from leadsman.train.device import check_memory, resolve_device
from leadsman.train.provenance import device_name, now, peak_memory_bytes, versions
from leadsman.train.schedule import shared_steps
from leadsman.train.tokens import TokenSet

PROGRESS_SECONDS = 0.5
COMPILE_FROM_FLOPS = 1e12


@dataclass(frozen=True, kw_only=True)
class TrunkJob:
    """Recipes with one ``trunk_id``, and where their data and results live. Picklable.

    Attributes:
        recipes: differ in ``tokens`` only.
        sources: directory of the token set of each source.
        held_out: directory of the token set of each evaluation set.
        ledger: where runs are written.
        work: directory for checkpoints and progress.
        role: written into each run (``proxy``, ``final``, ``naive``).
        models: directory in which each finished model is saved (Hugging Face format, one folder a
            run); nothing is saved if empty.
        threads: torch threads; results are bitwise the same for the same number.
        device: ``auto`` takes CUDA when present.
        compiled: use ``torch.compile``; by default when the trunk is long enough to repay it.
        checkpoint_seconds: time between checkpoints.
    """

    recipes: tuple[Recipe, ...]
    sources: Mapping[str, str]
    held_out: Mapping[str, str]
    ledger: str
    work: str
    role: str = "proxy"
    models: str = ""
    threads: int = 1
    device: str = "auto"
    compiled: bool | None = None
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        if len({recipe.trunk_id for recipe in self.recipes}) != 1:
            raise InputError("recipes of one trunk must differ in tokens only", column="recipes")

    @property
    def trunk_id(self) -> str:
        """The trunk id all recipes share."""
        return self.recipes[0].trunk_id

    @property
    def tokens(self) -> int:
        """Tokens trained on in all: the shared part once, and every decay."""
        return _steps(self.recipes) * self.recipes[0].batch_tokens

    @property
    def flops(self) -> float:
        """Training compute of the trunk and its branches."""
        return self.tokens * self.recipes[0].shape.train_flops_per_token

    @property
    def use_compile(self) -> bool:
        """Whether this job compiles; depends on the recipes alone, so a restart does the same."""
        return self.flops >= COMPILE_FROM_FLOPS if self.compiled is None else self.compiled


@dataclass(frozen=True, kw_only=True)
class TrunkProgress:
    """How far a trunk is.

    Attributes:
        trunk_id: which.
        label: mixture and size, for a person.
        tokens, total_tokens: done and to do, branches included.
        loss: of the last step, nats per token.
        seconds: spent training.
    """

    trunk_id: str
    label: str
    tokens: int
    total_tokens: int
    loss: float
    seconds: float


def plan_trunks(
    recipes: Sequence[Recipe],
    *,
    sources: Mapping[str, str],
    held_out: Mapping[str, str],
    ledger: str,
    work: str,
    **options: Any,
) -> list[TrunkJob]:
    """Group recipes into trunks, ordered so that two workers rarely compile the same shape.

    Args:
        recipes: any number, in any order; repeated recipes are run once.
        sources, held_out, ledger, work: see :class:`TrunkJob`.
        options: further fields of :class:`TrunkJob`.

    Returns:
        Jobs, shapes taking turns, costly shapes first.
    """
    by_trunk: dict[str, dict[str, Recipe]] = {}
    for recipe in recipes:
        by_trunk.setdefault(recipe.trunk_id, {})[recipe.id] = recipe
    by_shape: dict[Any, list[TrunkJob]] = {}
    for group in by_trunk.values():
        job = TrunkJob(
            recipes=tuple(sorted(group.values(), key=lambda recipe: recipe.tokens)),
            sources=dict(sources),
            held_out=dict(held_out),
            ledger=ledger,
            work=work,
            **options,
        )
        by_shape.setdefault(job.recipes[0].shape, []).append(job)
    columns = sorted(by_shape.values(), key=lambda jobs: -max(job.flops for job in jobs))
    longest = max((len(jobs) for jobs in columns), default=0)
    return [jobs[turn] for turn in range(longest) for jobs in columns if turn < len(jobs)]


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
    with _reporting(jobs, on_progress):
        for _ in engine.map(run_trunk, jobs):
            pass
    return [Ledger(job.ledger).get(recipe.id) for job in jobs for recipe in job.recipes]


def progress(jobs: Sequence[TrunkJob]) -> list[TrunkProgress]:
    """The state of every trunk as last written by its worker."""
    states = []
    for job in jobs:
        file = Path(job.work, "progress", f"{job.trunk_id}.json")
        try:
            states.append(TrunkProgress(**json.loads(file.read_text())))
        except (OSError, ValueError, TypeError):
            states.append(
                TrunkProgress(
                    trunk_id=job.trunk_id,
                    label=_label(job),
                    tokens=0,
                    total_tokens=job.tokens,
                    loss=math.nan,
                    seconds=0.0,
                )
            )
    return states


def run_trunk(job: TrunkJob) -> list[str]:
    """Train a trunk and its branches; returns the ids of its runs, all in the ledger.

    A run whose loss diverges is written as failed, and so are the longer ones of its trunk.

    Raises:
        InputError: data and recipe do not fit, or a checkpoint cannot be read; the runs are
            written as failed with the reason.
    """
    ledger = Ledger(job.ledger)
    todo = [recipe for recipe in job.recipes if not _finished(ledger, recipe)]
    todo.sort(key=lambda recipe: recipe.tokens)
    if not todo:
        return [recipe.id for recipe in job.recipes]
    try:
        _Trunk(job, ledger).run(todo)
    except LeadsmanError as error:
        for recipe in todo:
            if not _finished(ledger, recipe):
                _add_failed(ledger, job, recipe, str(error))
        from leadsman.train.loop import DivergedError

        if not isinstance(error, DivergedError):
            raise
    except (MemoryError, RuntimeError) as error:
        if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        cause = (str(error) or "allocation failed").splitlines()[0]
        reason = f"out of memory ({cause}); lower the width, layers or seq_len"
        for recipe in todo:
            if not _finished(ledger, recipe):
                _add_failed(ledger, job, recipe, reason)
    return [recipe.id for recipe in job.recipes]


class _Trunk:
    """One job at work: the trainer, where it stands, and what a restart needs."""

    def __init__(self, job: TrunkJob, ledger: Ledger) -> None:
        import torch

        from leadsman.train.loop import Trainer

        torch.set_num_threads(job.threads)
        self.job, self.ledger = job, ledger
        self.work = Directory(job.work)
        self.file = f"checkpoints/{job.trunk_id}.pt"
        self.device = resolve_device(job.device)
        check_memory(job.recipes[0], self.device)
        self.trainer = Trainer(
            job.recipes[0],
            {name: TokenSet(path) for name, path in job.sources.items()},
            device=self.device,
            compiled=job.use_compile,
        )
        self.held_out = {name: TokenSet(path) for name, path in job.held_out.items()}
        self.fork: dict[str, Any] | None = None
        self.branch = ""
        self.steps_done = 0
        self.reported = 0.0
        self.written = time.monotonic()

    def run(self, todo: Sequence[Recipe]) -> None:
        self._resume(todo)
        for recipe in todo:
            if self.branch != recipe.id:
                self.trainer.advance(recipe, shared_steps(recipe), after_step=self._after_step)
                self.fork, self.branch = self.trainer.state(), recipe.id
            self.trainer.advance(recipe, recipe.steps, after_step=self._after_step)
            self._add(recipe)
            if self.fork is not None and recipe is not todo[-1]:
                self.trainer.load(self.fork)
            self.fork, self.branch = None, ""
        self._report()
        self.work.remove(self.file)

    def _resume(self, todo: Sequence[Recipe]) -> None:
        self.steps_done = _steps(self.job.recipes) - _steps(todo)
        if not self.work.exists(self.file):
            return
        saved = load_checkpoint(self.work, self.file, self.job.trunk_id, device=self.device)
        if saved["branch"] and saved["branch"] not in {recipe.id for recipe in todo}:
            # The branch got into the ledger before the kill: go on from where it left the trunk.
            saved |= {"state": saved["fork"], "fork": None, "branch": ""}
        self.trainer.load(saved["state"])
        self.fork, self.branch = saved["fork"], saved["branch"]
        self.steps_done = saved["steps_done"]

    def _after_step(self) -> None:
        self.steps_done += 1
        clock = time.monotonic()
        if clock - self.reported >= PROGRESS_SECONDS:
            self._report()
            self.reported = clock
        if clock - self.written >= self.job.checkpoint_seconds:
            self._save()
            self.written = time.monotonic()

    def _save(self) -> None:
        save_checkpoint(
            self.work,
            self.file,
            {
                "trunk_id": self.job.trunk_id,
                "state": self.trainer.state(),
                "fork": self.fork,
                "branch": self.branch,
                "steps_done": self.steps_done,
            },
        )

    def _report(self) -> None:
        state = TrunkProgress(
            trunk_id=self.job.trunk_id,
            label=_label(self.job),
            tokens=self.steps_done * self.job.recipes[0].batch_tokens,
            total_tokens=self.job.tokens,
            loss=self.trainer.curve.loss[-1],
            seconds=self.trainer.seconds,
        )
        self.work.write_json(f"progress/{self.job.trunk_id}.json", asdict(state))

    def _add(self, recipe: Recipe) -> None:
        from leadsman.train.held_out import held_out_loss

        trainer = self.trainer
        results = {
            name: held_out_loss(trainer.model, tokens, bf16=recipe.precision == "bf16")
            for name, tokens in self.held_out.items()
        }
        if self.job.models:
            from leadsman.train.hf import save_hf

            save_hf(trainer.model, Path(self.job.models, recipe.id))
        tokens = recipe.steps * recipe.batch_tokens
        sequences = tokens // recipe.shape.seq_len
        run = Run(
            id=recipe.id,
            recipe=recipe,
            role=self.job.role,
            losses={name: result.loss for name, result in results.items()},
            bpb={name: result.bpb for name, result in results.items()},
            epochs=trainer.feed.epochs(sequences),
            seconds=trainer.seconds,
            tokens_per_second=tokens / trainer.seconds,
            peak_memory_bytes=peak_memory_bytes(self.device),
            device=device_name(self.device),
            versions=versions(),
            created=now(),
        )
        self.ledger.add(run, curve=trainer.curve.frame())


def _steps(recipes: Sequence[Recipe]) -> int:
    """Optimizer steps of a trunk and its branches."""
    shared = [shared_steps(recipe) for recipe in recipes]
    return max(shared) + sum(r.steps - s for r, s in zip(recipes, shared, strict=True))


def _finished(ledger: Ledger, recipe: Recipe) -> bool:
    return recipe.id in ledger and ledger.get(recipe.id).status == "finished"


def _add_failed(ledger: Ledger, job: TrunkJob, recipe: Recipe, reason: str) -> None:
    run = Run(
        id=recipe.id,
        recipe=recipe,
        status="failed",
        reason=reason,
        role=job.role,
        versions=versions(),
        created=now(),
    )
    ledger.add(run)


def _label(job: TrunkJob) -> str:
    recipe = job.recipes[0]
    return f"{recipe.mixture.name} {recipe.shape.non_embedding_params / 1e6:.2f}M"


@contextmanager
def _reporting(
    jobs: Sequence[TrunkJob], on_progress: Callable[[Sequence[TrunkProgress]], None] | None
) -> Iterator[None]:
    """Call ``on_progress`` regularly from a thread, and once at the end."""
    if on_progress is None:
        yield
        return
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(PROGRESS_SECONDS):
            on_progress(progress(jobs))

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        on_progress(progress(jobs))
