"""The directory a project works in, and its stages: each is done once, and known to be done.

WORK/stages/NAME.json   what a stage found, written when it is complete, with a fingerprint
                        of what it was made from; another fingerprint means do it again
     corpora/  tokens/  tokenizer.json  ledger/  plan.json  report.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from leadsman.files import Directory
from leadsman.runs import Ledger


class Watcher(Protocol):
    """Sees a project advance; the command line draws it."""

    def stage(self, title: str) -> None:
        """A stage begins."""

    def note(self, text: str) -> None:
        """Something a person wants to know, in a line."""

    def table(self, title: str, header: list[str], rows: list[list[str]]) -> None:
        """Something that reads better as a table."""

    def progress(self, done: float, total: float, what: str) -> None:
        """The present stage stands at ``done`` of ``total``."""


class Silent:
    """A watcher that looks away."""

    def stage(self, title: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def table(self, title: str, header: list[str], rows: list[list[str]]) -> None:
        """Nothing."""

    def progress(self, done: float, total: float, what: str) -> None:
        """Nothing."""


class Workspace:
    """Where one project keeps what it has done.

    Args:
        path: directory; made if it is not there.
        watcher: told what happens.
    """

    def __init__(self, path: Path, watcher: Watcher | None = None) -> None:
        self.path = path
        self.files = Directory(str(path))
        self.watcher: Watcher = watcher or Silent()
        self.ledger = Ledger(str(path / "ledger"))

    def result(self, name: str) -> Any:
        """The stored result of a stage that is done."""
        return json.loads(self.files.read(f"stages/{name}.json"))["result"]

    def stage(
        self,
        name: str,
        title: str,
        made_from: Any,
        do: Callable[[], Any],
        *,
        owns: Sequence[str] = (),
    ) -> Any:
        """The result of a stage: as stored if it was made from the same things, else done now.

        Args:
            name: file name under ``stages/``.
            title: what a person reads.
            made_from: whatever decides the result; anything JSON can hold.
            do: does the work and returns a JSON-ready result.
            owns: files and directories that only this stage writes; what is left in them from
                a stage that was stopped is continued, what was made from other things is removed.
        """
        self.watcher.stage(title)
        fingerprint = fingerprint_of(made_from)
        file = f"stages/{name}.json"
        if self.files.exists(file):
            stored = json.loads(self.files.read(file))
            if stored["fingerprint"] == fingerprint:
                self.watcher.note("done before; kept")
                return stored["result"]
        begun = f"stages/{name}.begun"
        if not self.files.exists(begun) or self.files.read(begun).decode() != fingerprint:
            for owned in owns:
                self.files.remove(owned)
            self.files.write(begun, fingerprint.encode())
        result = do()
        self.files.write_json(file, {"fingerprint": fingerprint, "result": result})
        return result


def fingerprint_of(value: Any) -> str:
    """A hash of anything JSON can hold."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
