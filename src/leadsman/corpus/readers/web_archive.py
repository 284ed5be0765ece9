"""Reads web archives: WET (text that Common Crawl extracted) and WARC (pages as served).

Of a WET file the ``conversion`` records are documents; of a WARC file the ``response`` records
that hold HTML, reduced to their main text by trafilatura. The id is the record's; ``url`` and
``date`` can be kept as metadata. Records of other kinds and pages without a main text are counted
as skipped. ISO 28500:2017.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

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
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    size = number = 0
    try:
        with filesystem.open(name, "rb") as file:
            for number, record in enumerate(iterate(file), 1):
                if record.format != "warc":  # warcio takes anything for the older ARC
                    raise ValueError("not a WARC record")
                text = _text(record, number, name, options, rejects)
                if text is None:
                    continue
                headers = record.rec_headers
                rows.append(
                    {
                        "id": headers.get_header("WARC-Record-ID", f"{name}:{number}").strip("<>"),
                        "text": text,
                        "url": headers.get_header("WARC-Target-URI"),
                        "date": headers.get_header("WARC-Date"),
                    }
                )
                numbers.append(number)
                size += len(text)
                if size >= _BATCH_BYTES:
                    yield from rows_to_batch(rows, numbers, name, options, rejects)
                    rows, numbers, size = [], [], 0
    except (OSError, EOFError, ValueError, zlib.error, load_failed) as error:
        rejects.add(name, 0, f"damaged after record {max(number - 1, 0)}: {error}")
    yield from rows_to_batch(rows, numbers, name, options, rejects)


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
