"""Draws a project as it advances: stages, notes, tables and a progress bar."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


class TerminalWatcher:
    """A :class:`leadsman.plan.workspace.Watcher` that draws on the terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            refresh_per_second=2,  # the workers want the processor more
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TerminalWatcher:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()
        self._progress.stop()

    def stage(self, title: str) -> None:
        """A stage begins."""
        self._clear()
        self.console.print(f"[bold cyan]●[/] [bold]{escape(title)}[/]")

    def note(self, text: str) -> None:
        """A line under the present stage; a number and its per cent stay on one."""
        text = text.replace(" %", "\u00a0%")
        self.console.print(Padding(escape(text), (0, 0, 0, 2), expand=False))

    def table(self, title: str, header: list[str], rows: list[list[str]]) -> None:
        """A table under the present stage; columns of numbers are right-aligned."""
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for position, heading in enumerate(header):
            numeric = all(row[position][:1] in "+-0123456789≥" for row in rows)
            table.add_column(heading, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(table, soft_wrap=False)

    def progress(self, done: float, total: float, what: str) -> None:
        """Move the bar of the present stage."""
        if self._task is None:
            self._task = self._progress.add_task(what, total=total)
        self._progress.update(self._task, completed=done, total=total, description=what)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
