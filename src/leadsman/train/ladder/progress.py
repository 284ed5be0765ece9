"""How far each job is, as its worker wrote it down."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leadsman.train.ladder.job import TrunkJob

PROGRESS_SECONDS = 0.5


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
                    label=job.label,
                    tokens=0,
                    total_tokens=job.tokens,
                    loss=math.nan,
                    seconds=0.0,
                )
            )
    return states


@contextmanager
def reporting(
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
