"""The bytes of a file as UTF-8, unpacked; all that stands before damage comes before the damage.

A file that begins with the mark of UTF-16 or UTF-32 is taken for what it says.
"""

from __future__ import annotations

import codecs
from typing import Any

import pyarrow as pa

_PIECE = 1 << 16
_SMALL_PIECE = 1
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
        self._file, self._compression = file, compression
        self._stream = pa.CompressedInputStream(file, compression) if compression else file
        self._unpacked = 0
        self._piece = _PIECE
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
            asked = min(size, self._piece) if self._compression else size
            while held < size and (piece := self._stream.read(asked)):
                self._unpacked += len(piece)
                pieces.append(self._as_utf8(bytes(piece)))
                held += len(pieces[-1])
            if not held and self._decoder is not None:
                self._decoder.decode(b"", final=True)
        except (OSError, EOFError, UnicodeDecodeError) as error:
            if self._compression and self._piece > _SMALL_PIECE:
                self._go_back()
            else:
                self._damage = error
            if not held:
                return self.read(size)
        return b"".join(pieces)

    def _go_back(self) -> None:
        """Unpack again up to here, to go on by the byte: a read that meets damage gives nothing."""
        self._piece = _SMALL_PIECE
        self._broken = self._stream  # when it goes it closes the file
        self._file.seek(0)
        self._stream = pa.CompressedInputStream(self._file, self._compression)
        left = self._unpacked
        while left:
            left -= len(self._stream.read(min(left, _PIECE)))

    def _as_utf8(self, piece: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            encoding = encoding_of(piece)
            if encoding != "utf-8-sig":
                self._decoder = codecs.getincrementaldecoder(encoding)()
        return piece if self._decoder is None else self._decoder.decode(piece).encode()
