"""What can go wrong, as a tree; every message says what, where, and what would be right.

    LeadsmanError
    ├── InputError         the user's files, fields or arguments (file, line, column, expected)
    ├── DesignError        these runs cannot answer this question; names the runs that could
    ├── BudgetError        the budget does not allow what was asked
    ├── MethodError        a method cannot do this with these hyperparameters or this data
    ├── EngineError        work was lost or a worker cannot be reached
    └── MissingExtraError  an optional dependency is not installed; names the extra

The command line prints the message alone and exits 2; ``--debug`` shows the traceback.
"""

from __future__ import annotations

from pathlib import Path


class LeadsmanError(Exception):
    """Base of every error Leadsman raises on purpose."""


class InputError(LeadsmanError):
    """Something the user gave is wrong, with the place where it stands.

    Args:
        message: what is wrong and what would be right, without the place.
        file: the file at fault.
        line: 1-based line (or row) in that file.
        column: name (or 1-based number) of the column or field at fault.

    >>> str(InputError("not JSON: Expecting value", file="raw.jsonl", line=7))
    'raw.jsonl, line 7: not JSON: Expecting value'
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        column: str | int | None = None,
    ) -> None:
        self.file = None if file is None else str(file)
        self.line = line
        self.column = column
        place = [] if self.file is None else [self.file]
        place += [] if line is None else [f"line {line}"]
        place += [] if column is None else [f"field {column!r}"]
        super().__init__(f"{', '.join(place)}: {message}" if place else message)


class DesignError(LeadsmanError):
    """The runs at hand cannot answer the question; the message names a run that would."""


class BudgetError(LeadsmanError):
    """The budget does not allow what was asked; the message says what would."""


class MethodError(LeadsmanError):
    """A method was given hyperparameters or data it cannot work with."""


class EngineError(LeadsmanError):
    """Work was lost: a worker died, or the cluster cannot be reached."""


class MissingExtraError(LeadsmanError):
    """An optional dependency is needed; the message gives the line that installs it."""

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        self._needed_for = needed_for
        super().__init__(f"{needed_for} needs the extra {extra!r}: pip install 'leadsman[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        # By default an exception is unpickled from its message, which is not what this one takes.
        return type(self), (self.extra, self._needed_for)
