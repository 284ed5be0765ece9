"""Reads web archives: WET (text that Common Crawl extracted) and WARC (pages as served).

Of a WET file the ``conversion`` records are documents; of a WARC file the ``response`` records
that hold HTML, reduced to their main text by trafilatura. The id is the record's; ``url`` and
``date`` can be kept as metadata. Records of other kinds and pages without a main text are counted
as skipped. A damaged record of a packed archive costs that record: reading goes on at the next.
ISO 28500:2017.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from leadsman.corpus.readers.gzip_members import MAGIC, Member, find_member
from leadsman.corpus.readers.options import ReadOptions, rows_to_batch
from leadsman.corpus.readers.rejects import Rejects
from leadsman.errors import MissingExtraError

SUFFIXES = (".warc", ".wet", ".warc.gz", ".wet.gz")
_BATCH_BYTES = 4 << 20
_HTML = ("text/html", "application/xhtml+xml")


def read_web_archive(
    filesystem: Any, root: str, name: str, options: ReadOptions, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    """The documents of a WET or WARC file; what is damaged is quarantined.

    Raises:
        MissingExtraError: warcio or trafilatura is not installed.
    """
    iterate, load_failed = _warcio()
    reader = _Archive(name, options, rejects)
    try:
        with filesystem.open(name, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                file.seek(0)
                yield from _guarded(reader, iterate(file), load_failed)
            else:
                start: int | None = 0
                while start is not None:
                    member = Member(file, start)
                    yield from _guarded(reader, _whole(iterate(member), member), load_failed)
                    start = _behind(file, member, reader)
    except OSError as error:
        rejects.add(name, 0, f"cannot be read: {error}")
    yield from reader.take()


class _Archive:
    """The documents of one file that were read and not yet given on."""

    def __init__(self, name: str, options: ReadOptions, rejects: Rejects) -> None:
        self.name, self.options, self.rejects = name, options, rejects
        self.records = self.size = 0
        self._rows: list[dict[str, Any]] = []
        self._numbers: list[int] = []

    def add(self, record: Any) -> None:
        """Keep the document of a record, if it has one."""
        if record.format != "warc":  # warcio takes anything for the older ARC
            raise ValueError("not a WARC record")
        number = self.records + 1
        text = _text(record, number, self.name, self.options, self.rejects)
        self.records = number
        if text is None:
            return
        headers = record.rec_headers
        self._rows.append(
            {
                "id": headers.get_header("WARC-Record-ID", f"{self.name}:{number}").strip("<>"),
                "text": text,
                "url": headers.get_header("WARC-Target-URI"),
                "date": headers.get_header("WARC-Date"),
            }
        )
        self._numbers.append(number)
        self.size += len(text)

    def damaged(self, error: BaseException, documents: int) -> None:
        """Note a record that cannot be read; of what it gave all behind ``documents`` goes."""
        self._rows, self._numbers = self._rows[:documents], self._numbers[:documents]
        what = "".join(c if c.isprintable() else "?" for c in str(error).partition("\n")[0][:100])
        self.rejects.add(self.name, 0, f"damaged after record {self.records}: {what}")

    @property
    def documents(self) -> int:
        """How many are held."""
        return len(self._rows)

    def take(self) -> Iterator[pa.RecordBatch]:
        """Give on what is held."""
        yield from rows_to_batch(self._rows, self._numbers, self.name, self.options, self.rejects)
        self._rows, self._numbers, self.size = [], [], 0


def _behind(file: Any, member: Member, reader: _Archive) -> int | None:
    """Where the next member begins; that there is something else before it is noted."""
    file.seek(member.end)
    there = file.read(len(MAGIC))
    if not there.strip(b"\0"):  # some tools fill up with zeros
        return None
    place = find_member(file, member.end + (not member.read_whole), begins_with=b"WARC/")
    if member.read_whole and place != member.end:
        reader.damaged(ValueError(f"no record at byte {member.end}"), reader.documents)
    return place


def _whole(records: Iterator[Any], member: Member) -> Iterator[Any]:
    """The records of a member, which is then read to its end, where its checksum stands."""
    yield from records
    while member.read():
        pass


def _guarded(
    reader: _Archive, records: Iterator[Any], load_failed: type[Exception]
) -> Iterator[pa.RecordBatch]:
    """Read records up to the first that is damaged."""
    sure = reader.documents
    try:
        for record in records:
            reader.add(record)
            if reader.size >= _BATCH_BYTES:
                yield from reader.take()
                sure = 0
    except (EOFError, ValueError, zlib.error, load_failed) as error:
        reader.damaged(error, sure)


def _text(
    record: Any, number: int, name: str, options: ReadOptions, rejects: Rejects
) -> str | None:
    """The text of a record; ``None`` if it has none or cannot be used."""
    html = record.rec_type == "response"
    if html and (record.http_headers is None or _content_type(record) not in _HTML):
        rejects.skip("response that is not HTML")
        return None
    if not html and record.rec_type != "conversion":
        rejects.skip(f"{record.rec_type} record")
        return None
    # Read with a limit: a page may be compressed, and then its length says nothing.
    data = _read(record.content_stream(), options.max_document_bytes + 1)
    if len(data) > options.max_document_bytes:
        rejects.add(name, number, options.too_long, data[:1000])
        return None
    if not html:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            rejects.add(name, number, f"not UTF-8 at byte {error.start}", data)
            return None
    else:
        text = _main_text(data, number, name, rejects)
    if not text.strip():
        rejects.skip("no text on the page")
        return None
    return text


def _content_type(record: Any) -> str:
    kind: str = record.http_headers.get_header("Content-Type", "")
    return kind.partition(";")[0].strip().lower()


def _read(stream: Any, limit: int) -> bytes:
    pieces, size = [], 0
    while size < limit and (piece := stream.read(min(limit - size, 1 << 20))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _main_text(page: bytes, number: int, name: str, rejects: Rejects) -> str:
    try:
        import trafilatura
    except ImportError as error:
        raise MissingExtraError("readers", "reading WARC files") from error
    try:
        return trafilatura.extract(page) or ""
    except Exception as error:
        # Whatever a parser of other people's pages trips over, one page must not stop the job.
        rejects.add(name, number, f"page cannot be parsed: {type(error).__name__}: {error}", page)
        return ""


def _warcio() -> tuple[Any, type[Exception]]:
    try:
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed
    except ImportError as error:
        raise MissingExtraError("readers", "reading WET and WARC files") from error
    return ArchiveIterator, ArchiveLoadFailed
