"""Atomic files in one directory, local or on object storage (fsspec)."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Iterable
from typing import Any

import fsspec
import polars as pl

from leadsman.errors import InputError


class Directory:
    """Reads and writes whole files under a path or fsspec URL; a write is all or nothing.

    Local files are written under a temporary name beside the final one and renamed; object
    stores publish an object only when it is complete.

    Args:
        location: path or URL of the directory; made on the first write.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        try:
            self._fs, self._root = fsspec.url_to_fs(location)
        except (ValueError, ImportError) as error:
            raise InputError(f"cannot be opened: {error}", file=location) from error
        self.local = "file" in (
            self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        )

    def path(self, name: str) -> str:
        """The file system's own path of ``name``."""
        return f"{self._root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether the file is there, complete."""
        return bool(self._fs.exists(self.path(name)))

    def glob(self, pattern: str) -> list[str]:
        """Paths that match, as the file system spells them."""
        return [str(path) for path in self._fs.glob(self.path(pattern))]

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        data: bytes = self._fs.cat_file(self.path(name))
        return data

    def open(self, name: str) -> Any:
        """A file open for reading at any position, without loading it."""
        return self._fs.open(self.path(name), "rb")

    def size(self, name: str) -> int:
        """Bytes in a file."""
        return int(self._fs.size(self.path(name)))

    def remove(self, name: str) -> None:
        """Delete a file, or a directory with all it holds; nothing happens if there is none."""
        if self._fs.exists(self.path(name)):
            self._fs.rm(self.path(name), recursive=True)

    def remove_temporaries(self) -> None:
        """Delete what a killed writer left half-written in this directory (not deeper)."""
        for path in self.glob(".*.tmp"):
            self._fs.rm(path)

    def read_frame(self, name: str) -> pl.DataFrame:
        """A Parquet file."""
        return pl.read_parquet(io.BytesIO(self.read(name)))

    def write(self, name: str, data: bytes | memoryview | Iterable[bytes | memoryview]) -> None:
        """Write a file, all or nothing; ``data`` may be pieces that follow each other.

        Raises:
            InputError: the disk is full or the place cannot be written; nothing is left behind.
        """
        path = self.path(name)
        parent = path.rpartition("/")[0]
        temporary = f"{parent}/.{secrets.token_hex(8)}.tmp" if self.local else path
        try:
            self._fs.makedirs(parent, exist_ok=True)
            with self._fs.open(temporary, "wb") as file:
                for piece in [data] if isinstance(data, bytes | memoryview) else data:
                    file.write(piece)
            if self.local:
                os.replace(temporary, path)
        except OSError as error:
            if self.local and os.path.exists(temporary):
                os.unlink(temporary)
            raise InputError(
                f"cannot be written: {error.strerror or error}; free space or choose another "
                f"directory, then run the same command again",
                file=path,
            ) from error

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet, all or nothing; False if another writer was first.

        Raises:
            InputError: the disk is full, the place cannot be written, or the store cannot tell
                whether a file is new (only local disks and stores with conditional writes can).
        """
        path = self.path(name)
        temporary = ""
        try:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if not self.local:
                self._fs.pipe_file(path, data, mode="create")
                return True
            temporary = f"{path.rpartition('/')[0]}/.{secrets.token_hex(8)}.tmp"
            with open(temporary, "xb") as file:
                file.write(data)
            os.link(temporary, path)  # unlike a rename, fails where there is a file
        except FileExistsError:
            return False
        except (OSError, NotImplementedError) as error:
            raise InputError(
                f"cannot be written: {error}; free space or choose another directory, then run "
                f"the same command again",
                file=path,
            ) from error
        finally:
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)
        return True

    def write_json(self, name: str, value: Any) -> None:
        """Write JSON, all or nothing."""
        self.write(name, json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode())

    def write_frame(self, name: str, frame: pl.DataFrame) -> None:
        """Write a Parquet file, all or nothing."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        self.write(name, buffer.getvalue())
