"""An append-only chain of entries: a late edit, a removal or a false date shows.

    DIRECTORY/00000001.json   {number, previous, time, kind, body, hash}
              00000002.json   previous = hash of 00000001; the first entry's is 64 zeros

``hash`` is SHA-256 over the canonical JSON of the other fields (keys sorted, no spaces), so whoever
changes an entry must change every later one, and the last hash (the *head*) with them. The chain
cannot know that somebody replaced it whole, or cut off its end: for that, note the head where
others can see it (a report prints it) and give it to :meth:`Chain.verify`.

An entry is created only where none is, so of two writers one gets the number and the other takes
the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from leadsman.errors import InputError
from leadsman.files import Directory

GENESIS = "0" * 64
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far in the future an entry may be dated: clocks of machines differ."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One link.

    Attributes:
        number: 1, 2, 3, ...
        previous: hash of the entry before.
        time: ISO 8601 time of registration, never before that of the entry before.
        kind: what the body is (``forecast``, ``score``).
        body: the content, plain values.
        hash: SHA-256 of all other fields.
    """

    number: int
    previous: str
    time: str
    kind: str
    body: Mapping[str, Any]
    hash: str

    def expected_hash(self) -> str:
        """The hash that the other fields give."""
        plain = {name: value for name, value in asdict(self).items() if name != "hash"}
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Fault:
    """Something wrong with a chain.

    Attributes:
        number: of the first entry at fault.
        why: what is wrong with it, in a sentence.
    """

    number: int
    why: str


class Chain:
    """Entries under one directory or fsspec URL.

    >>> import tempfile
    >>> chain = Chain(Directory(tempfile.mkdtemp()))
    >>> chain.append("note", {"text": "before"}).number
    1
    >>> chain.verify() is None
    True
    """

    def __init__(self, directory: Directory, folder: str = "registry") -> None:
        self.directory = directory
        self.folder = folder
        self._known: list[Entry] = []

    def __len__(self) -> int:
        return len(self.entries())

    def entries(self) -> list[Entry]:
        """All entries in order, up to the first that is missing.

        Raises:
            InputError: a file is not an entry.
        """
        present = set(self._numbers())
        while len(self._known) + 1 in present:
            self._known.append(self.read(len(self._known) + 1))
        return list(self._known)

    @property
    def head(self) -> str:
        """Hash of the last entry; 64 zeros if there is none."""
        entries = self.entries()
        return entries[-1].hash if entries else GENESIS

    def append(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        unless: Callable[[Entry], bool] = lambda entry: False,
    ) -> Entry:
        """Add an entry at the end.

        Args:
            kind: what the body is.
            body: the content, plain values that JSON can hold.
            unless: an entry for which this is true makes the new one needless and is returned
                in its place, even if another writer has just added it.
        """
        seen = 0
        while True:
            entries = self.entries()
            for entry in entries[seen:]:
                if unless(entry):
                    return entry
            seen = len(entries)
            last = entries[-1] if entries else None
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            new = Entry(
                number=seen + 1,
                previous=last.hash if last else GENESIS,
                time=max(now, last.time) if last else now,
                kind=kind,
                body=json.loads(json.dumps(body, allow_nan=False)),
                hash="",
            )
            plain = asdict(new) | {"hash": new.expected_hash()}
            if self.directory.create(self._name(new.number), json.dumps(plain, indent=1).encode()):
                self._known.append(Entry(**plain))
                return self._known[-1]

    def verify(self, *, head: str | None = None) -> Fault | None:
        """The first entry at fault, or ``None``; everything is read anew.

        Args:
            head: a hash noted earlier, or the first digits of one; it must still be in the chain.
        """
        before: Entry | None = None
        hashes = [GENESIS]
        for number in range(1, max(self._numbers(), default=0) + 1):
            try:
                entry = self.read(number)
            except FileNotFoundError:
                return Fault(number, "is missing: it was removed")
            except InputError as error:
                return Fault(number, f"cannot be read: {error}")
            why = _fault_of(entry, number, before)
            if why:
                return Fault(number, why)
            hashes.append(entry.hash)
            before = entry
        if head and not any(each.startswith(head) for each in hashes):
            return Fault(
                len(hashes),
                f"is not what it was: no entry has the hash {head[:12]} that was noted earlier, so "
                f"the end was cut off or the chain was written anew",
            )
        return None

    def read(self, number: int) -> Entry:
        """One entry.

        Raises:
            FileNotFoundError: there is none of that number.
            InputError: the file is not an entry.
        """
        name = self._name(number)
        try:
            return Entry(**json.loads(self.directory.read(name)))
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
            raise InputError(
                f"not an entry of the forecast register ({error})",
                file=f"{self.directory.location}/{name}",
            ) from error

    def _numbers(self) -> list[int]:
        paths = self.directory.glob(f"{self.folder}/*.json")
        stems = [PurePosixPath(path).stem for path in paths]
        return [int(stem) for stem in stems if stem.isdigit()]

    def _name(self, number: int) -> str:
        return f"{self.folder}/{number:08d}.json"


def _fault_of(entry: Entry, number: int, before: Entry | None) -> str:
    if entry.expected_hash() != entry.hash:
        return "was changed after it was written: its hash does not fit its content"
    if entry.number != number:
        return f"calls itself entry {entry.number}: it was moved here"
    if entry.previous != (before.hash if before else GENESIS):
        return (
            "does not follow the entry before it: one was put in, taken out or written anew there"
        )
    try:
        time = datetime.fromisoformat(entry.time)
        earlier = before is not None and time < datetime.fromisoformat(before.time)
        late = time > datetime.now(UTC) + CLOCK_TOLERANCE
    except (ValueError, TypeError):
        return f"has no date that can be read ({entry.time!r})"
    if earlier:
        return f"is dated {entry.time}, before the entry it follows: it was dated back"
    if late:
        return f"is dated {entry.time}, in the future"
    return ""
