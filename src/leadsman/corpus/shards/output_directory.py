"""Where a corpus may be written: never over files that are not of Leadsman's making."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from leadsman.corpus.corpus import MANIFEST, Corpus
from leadsman.errors import InputError
from leadsman.files import Directory

OURS = ("shard-*.parquet", "rejects", "report.json")
"""What a job replaces in its directory."""


def check_output(directory: Directory, work: Directory) -> None:
    """Refuse a directory whose files a job would delete though no job of ours wrote them.

    Args:
        directory: of the result.
        work: notes of a job that was begun there.

    Raises:
        InputError: it holds such files.
    """
    if directory.exists(MANIFEST) or work.exists("job.json"):
        return
    found = [path for pattern in OURS for path in directory.glob(pattern)]
    if found:
        raise InputError(
            f"holds {found[0].rpartition('/')[2]}, which would be replaced and is not of a corpus; "
            f"give a new directory",
            file=directory.location,
        )


def check_conversion(paths: Sequence[str | Path], directory: Directory) -> None:
    """Refuse to convert into the input, around it, or over what another job made.

    Raises:
        InputError: so it is.
    """
    out = directory.path("")
    for path in paths:
        place = Directory(str(path)).path("")
        over = place == out or fnmatch(place, f"{out}shard-*")
        if over or out.startswith(place):
            raise InputError(
                f"is, holds or lies in the input {path}; give another --out",
                file=directory.location,
            )
    if directory.exists(MANIFEST) and Corpus.open(directory.location).job:
        raise InputError(
            "already holds the result of another command; remove it, or give another --out",
            file=directory.location,
        )
