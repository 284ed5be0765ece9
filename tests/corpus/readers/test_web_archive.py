import gzip
import io
import random
import sys

import pytest

from leadsman.corpus import Rejects, convert, read_source
from leadsman.corpus.readers.gzip_members import MAGIC
from leadsman.errors import InputError, MissingExtraError

pytest.importorskip("warcio", reason="the extra 'readers' is not installed")

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

PARAGRAPHS = [
    "The leadsman stands at the bow and sounds the depth before the ship gets there.",
    "He calls the fathoms to the pilot, who steers by them through water he has not seen.",
    "A line marked with leather and cloth tells the depth to the hand even in the dark.",
]
PAGE = (
    "<html><head><title>Depth</title></head><body><nav><a href='/'>Home</a> <a href='/x'>Shop</a>"
    "</nav><article>{}</article><script>track()</script></body></html>"
).format("".join(f"<p>{p}</p>" for p in PARAGRAPHS))


def archive(path, records, *, compressed=True):
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=compressed)
        writer.write_record(writer.create_warcinfo_record("a.warc", {"software": "test"}))
        for number, (kind, content_type, payload) in enumerate(records):
            http = None
            if kind == "response":
                headers = [("Content-Type", content_type)]
                if payload[:2] == b"\x1f\x8b":
                    headers.append(("Content-Encoding", "gzip"))
                http = StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")
            record = writer.create_warc_record(
                f"https://example.org/{number}", kind, io.BytesIO(payload), len(payload),
                warc_content_type="text/plain" if kind == "conversion" else "",
                http_headers=http,
                warc_headers_dict={
                    "WARC-Date": "2026-11-21T00:00:00Z",
                    "WARC-Record-ID": f"<urn:uuid:{number}>",
                },
            )  # fmt: skip
            writer.write_record(record)
    return path


def read(path, **options):
    return [row for batch in read_source(path, **options) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", ["cc.warc.wet.gz", "cc.wet.gz", "cc.wet"])
def test_the_texts_of_a_wet_file_are_documents(tmp_path, name):
    texts = [f"page {i} é 東\nsecond line" for i in range(50)]
    records = [("conversion", "", text.encode()) for text in texts]
    path = archive(tmp_path / name, records, compressed=name.endswith("gz"))
    rejects = Rejects()
    assert read(path, metadata=["url", "date"], rejects=rejects) == [
        {
            "id": f"urn:uuid:{i}",
            "text": text,
            "source": "cc",
            "date": "2026-11-21T00:00:00Z",
            "url": f"https://example.org/{i}",
        }
        for i, text in enumerate(texts)
    ]
    assert (rejects.count, dict(rejects.skipped)) == (0, {"warcinfo record": 1})


def test_of_a_warc_file_the_main_text_of_pages_is_kept(tmp_path):
    records = [
        ("response", "text/html; charset=utf-8", PAGE.encode()),
        ("response", "text/html", gzip.compress(PAGE.encode())),
        ("response", "image/png", b"\x89PNG"),
        ("response", "text/html", b"<html><body></body></html>"),
        ("metadata", "", b"fetchTimeMs: 5"),
    ]
    path = archive(tmp_path / "crawl.warc.gz", records)
    report = convert(path, tmp_path / "out")
    rows = report.corpus.table(["id", "text"]).to_pylist()
    assert [row["id"] for row in rows] == ["urn:uuid:0", "urn:uuid:1"]
    for row in rows:
        assert all(paragraph in row["text"] for paragraph in PARAGRAPHS)
        assert "Shop" not in row["text"]
        assert "track" not in row["text"]
    assert report.skipped == {
        "metadata record": 1,
        "no text on the page": 1,
        "response that is not HTML": 1,
        "warcinfo record": 1,
    }
    assert report.rejected == 0


def test_a_page_that_unpacks_to_much_is_quarantined_unread(tmp_path):
    bomb = gzip.compress(b"<p>" + b"x" * 50_000_000)
    records = [("response", "text/html", bomb), ("response", "text/html", PAGE.encode())]
    path = archive(tmp_path / "crawl.warc.gz", records)
    rejects = Rejects()
    rows = read(path, rejects=rejects, max_document_bytes=100_000, max_reject_rate=0.5)
    assert [row["id"] for row in rows] == ["urn:uuid:1"]
    assert (rejects.count, rejects.first.line) == (1, 2)
    assert rejects.first.reason == "longer than max_document_bytes (100000)"


def test_bad_bytes_and_a_damaged_end_are_quarantined(tmp_path):
    good = [("conversion", "", f"text {i} {'x' * 2000}".encode()) for i in range(120)]
    path = archive(tmp_path / "cc.wet.gz", [*good[:60], ("conversion", "", b"\xff"), *good[60:]])
    rejects = Rejects()
    assert len(read(path, rejects=rejects)) == 120
    assert (rejects.count, rejects.first.line) == (1, 62)
    assert rejects.first.reason == "not UTF-8 at byte 0"
    path.write_bytes(path.read_bytes()[:-30])
    rejects = Rejects()
    rows = read(path, rejects=rejects, max_reject_rate=0.5)
    assert len(rows) >= 118
    assert rejects.count >= 1
    path.write_bytes(b"not an archive at all\n" * 50)
    with pytest.raises(
        InputError, match=r"no document can be read.*damaged after record 0: not a WARC record"
    ):
        read(path)


def test_a_damaged_record_in_the_middle_costs_that_record(tmp_path):
    texts = [f"text {i} {random.Random(i).random()}" for i in range(40)]
    good = [("conversion", "", text.encode()) for text in texts]
    path = archive(tmp_path / "cc.wet.gz", good)
    data = path.read_bytes()
    starts = [place for place in range(len(data)) if data.startswith(MAGIC, place)]
    assert len(starts) == 41
    # In one the text, in one the header, in one only the checksum; and one looks like a header.
    damaged = bytearray(data)
    damaged[starts[5] + 150] ^= 0xFF
    damaged[starts[17] : starts[17] + 20] = b"?" * 10 + MAGIC + b"?" * 7
    damaged[starts[31] - 6] ^= 0xFF
    path.write_bytes(damaged)
    rejects = Rejects()
    rows = read(path, rejects=rejects, max_reject_rate=0.2)
    assert [row["text"] for row in rows] == [texts[i] for i in range(40) if i not in (4, 16, 29)]
    assert rejects.count == 3
    assert rejects.first.reason.isprintable()
    assert rejects.first.reason.startswith("damaged after record 5: ")


def test_an_archive_packed_as_a_whole_is_read(tmp_path):
    good = [("conversion", "", f"text {i}".encode()) for i in range(40)]
    path = archive(tmp_path / "cc.wet", good, compressed=False)
    packed = tmp_path / "cc.wet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [row["text"] for row in read(packed)] == [f"text {i}" for i in range(40)]


def test_without_warcio_the_extra_is_named(tmp_path, monkeypatch):
    path = archive(tmp_path / "cc.wet", [("conversion", "", b"x")], compressed=False)
    monkeypatch.setitem(sys.modules, "warcio.archiveiterator", None)
    with pytest.raises(MissingExtraError, match=r"leadsman\[readers\]"):
        read(path)
