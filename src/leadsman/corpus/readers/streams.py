"""The bytes of a file as UTF-8, unpacked; all that stands before damage comes before the damage.

A file that begins with the mark of UTF-16 or UTF-32 is taken for what it says.
"""

from __future__ import annotations

import codecs
from typing import Any

import pyarrow as pa

_PIECE = 1 << 16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(head: bytes) -> str:
    """What the first bytes say a text is written in; UTF-8 (with or without mark) if nothing.

    >>> encoding_of("Ünder".encode("utf-16")), encoding_of(b"plain")
    ('utf-16', 'utf-8-sig')
    """
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8-sig")


class TextStream:
    """Reads a file piece by piece.

    Args:
        file: binary, open for reading.
        compression: ``gzip``, ``zstd``, or ``None``.
    """

    def __init__(self, file: Any, compression: str | None) -> None:
        self._packed = compression is not None
        self._stream = pa.CompressedInputStream(file, compression) if compression else file
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False
        self._damage: Exception | None = None

    def read(self, size: int) -> bytes:
        """About ``size`` bytes of UTF-8; none at the end.

        Raises:
            OSError: the file is damaged here; what was before has been given.
        """
        if self._damage is not None:
            raise OSError(str(self._damage)) from self._damage
        pieces: list[bytes] = []
        held = 0
        try:
            # A packed stream that breaks gives nothing of what it was asked for: ask for little.
            asked = min(size, _PIECE) if self._packed else size
            while held < size and (piece := self._stream.read(asked)):
                pieces.append(self._as_utf8(bytes(piece)))
                held += len(pieces[-1])
            if not held and self._decoder is not None:
                self._decoder.decode(b"", final=True)
        except (OSError, EOFError, UnicodeDecodeError) as error:
            self._damage = error
            if not held:
                return self.read(size)
        return b"".join(pieces)

    def _as_utf8(self, piece: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            encoding = encoding_of(piece)
            if encoding != "utf-8-sig":
                self._decoder = codecs.getincrementaldecoder(encoding)()
        return piece if self._decoder is None else self._decoder.decode(piece).encode()
