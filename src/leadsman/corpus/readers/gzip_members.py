"""The members of a gzip file one by one; behind a damaged one the next is found again.

Web archives have a member a record, so that damage costs a record and not the rest of the file.
RFC 1952.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

MAGIC = b"\x1f\x8b\x08"
_GZIP = 31
_CHUNK = 1 << 14


class Member:
    """One member, read like a file of its text.

    Args:
        file: binary, seekable.
        start: where the member begins in it.

    Attributes:
        end: where it ends, once it was read to its end; where it begins before.
    """

    def __init__(self, file: Any, start: int) -> None:
        self._file = file
        self._file.seek(start)
        self._unpack = zlib.decompressobj(_GZIP)
        self._position = 0
        self.end = start

    def read(self, size: int = _CHUNK) -> bytes:
        """At most ``size`` bytes of text; none at the end.

        Raises:
            zlib.error: it is damaged; the checksum at its end is checked too.
            EOFError: the file ends within it.
        """
        while not self._unpack.eof:
            packed = self._unpack.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                raise EOFError("the file ends within a record")
            text = self._unpack.decompress(packed, size)
            if self._unpack.eof:
                self.end = self._file.tell() - len(self._unpack.unused_data)
            if text:
                self._position += len(text)
                return text
        return b""

    @property
    def read_whole(self) -> bool:
        """Whether it was read to its end."""
        return self._unpack.eof

    def tell(self) -> int:
        """Bytes of text read so far."""
        return self._position


def find_member(file: Any, start: int, *, begins_with: bytes) -> int | None:
    """Where the first member at or behind ``start`` begins, or ``None``.

    Args:
        file: binary, seekable.
        start: where to begin.
        begins_with: what the text of a member begins with; other bytes may look like its header.
    """
    for place in _headers(file, start):
        try:
            if Member(file, place).read(len(begins_with)) == begins_with:
                return place
        except (zlib.error, EOFError):
            continue
    return None


def _headers(file: Any, start: int) -> Iterator[int]:
    """Everything that looks like the header of a member."""
    while True:
        file.seek(start)
        chunk = file.read(1 << 20)
        if len(chunk) < len(MAGIC):
            return
        place = chunk.find(MAGIC)
        while place >= 0:
            yield start + place
            place = chunk.find(MAGIC, place + 1)
        start += len(chunk) - len(MAGIC) + 1
