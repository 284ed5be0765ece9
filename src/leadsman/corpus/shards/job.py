"""A restartable piece of work with a corpus as its result.

    OUT/.work/job.json   fingerprint of the work: inputs, settings, version
        .work/...        what is done so far; removed at the end
        manifest.json    written last, with the same fingerprint

The same command on a killed job continues; on a finished one it does nothing; another command
never mixes with what is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leadsman._version import __version__
from leadsman.corpus.corpus import MANIFEST, Corpus
from leadsman.corpus.shards.arrays import load_array, save_array
from leadsman.corpus.shards.output_directory import check_output
from leadsman.errors import InputError
from leadsman.files import Directory


class Job:
    """Work that makes the corpus ``out``.

    Args:
        out: directory or URL of the result.
        verb: what is done (``dedup``, ``select``, ...).
        settings: everything the result depends on beside the inputs, as JSON values.
        inputs: the corpora it is made from.

    Raises:
        InputError: ``out`` is one of the inputs, or holds the result of other work.
    """

    def __init__(
        self, out: str | Path, verb: str, settings: Mapping[str, Any], inputs: Sequence[Corpus]
    ) -> None:
        self.directory = Directory(str(out))
        self.work = Directory(f"{out}/.work")
        description = {
            "verb": verb,
            "settings": dict(settings),
            "inputs": [corpus.fingerprint for corpus in inputs],
            "version": __version__,
        }
        text = json.dumps(description, sort_keys=True)
        self.fingerprint = f"{verb}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        places = {shard.location or c.location for c in inputs for shard in c.shards}
        if self.directory.path("") in {Directory(place).path("") for place in places}:
            raise InputError("is both input and output; give another --out", file=out)
        self.finished = self._finished(str(out))
        if not self.finished and self._begun() != self.fingerprint:
            check_output(self.directory, self.work)
            self._clear()
            self.work.write_json("job.json", {"fingerprint": self.fingerprint})

    def _finished(self, out: str) -> bool:
        if not self.directory.exists(MANIFEST):
            return False
        if Corpus.open(out).job == self.fingerprint:
            return True
        raise InputError("already holds another corpus; remove it, or give another --out", file=out)

    def _begun(self) -> str | None:
        if not self.work.exists("job.json"):
            return None
        fingerprint: str = json.loads(self.work.read("job.json"))["fingerprint"]
        return fingerprint

    def _clear(self) -> None:
        for name in (".work", "rejects", "report.json"):
            self.directory.remove(name)
        for path in self.directory.glob("shard-*.parquet"):
            self.directory.remove(path.rpartition("/")[2])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str]:
        return self.directory.location, self.fingerprint

    def has(self, name: str) -> bool:
        """Whether an intermediate result is there."""
        return self.work.exists(name)

    def save(self, name: str, *arrays: npt.NDArray[Any]) -> None:
        """Keep arrays, one after the other along the first axis, as one intermediate result."""
        save_array(self.work, name, *arrays)

    def load(self, name: str) -> npt.NDArray[Any]:
        """An array that was saved, see :func:`load_array`."""
        return load_array(self.work, name)

    def gather(self, folder: str, name: str, parts: int) -> npt.NDArray[Any]:
        """The arrays ``FOLDER/00000.NAME.npy``, ... that were saved, one after the other."""
        return np.concatenate(self.stored(folder, name, parts))

    def stored(self, folder: str, name: str, parts: int) -> list[npt.NDArray[Any]]:
        """The same arrays, one by one."""
        return [self.load(f"{folder}/{part:05d}.{name}.npy") for part in range(parts)]

    def close(self) -> None:
        """Remove the intermediate results; the manifest must be written already."""
        self.directory.remove(".work")
