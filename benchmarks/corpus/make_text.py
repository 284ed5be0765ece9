"""Real text to measure on: documentation that Debian packages install, cut into documents.

    apt-get download debian-handbook rust-doc openjdk-17-doc perl-doc git-doc libboost1.74-doc \
        linux-doc-6.1 python3.11-doc postgresql-doc-15 manpages manpages-dev manpages-de \
        manpages-fr manpages-es manpages-pl manpages-ja
    for f in *.deb; do dpkg -x $f DOCS; done
    python -m benchmarks.corpus.make_text DOCS --out text.jsonl --megabytes 200

HTML loses its tags, compressed files are opened, documents are cut at paragraph ends, mostly at
3 to 12 kB. Files are taken in the order of a hash of their path, so that
every package is in the mix. The source of a document is its package's directory.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = {".html", ".htm", ".txt", ".gz", ".pod", ".md", ".rst"}
LEAST, MOST = 3300, 12_000


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("docs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=200.0)
    arguments = parser.parse_args()
    files = [p for p in arguments.docs.rglob("*") if p.suffix in SUFFIXES and p.is_file()]
    files.sort(key=lambda path: hashlib.sha256(str(path).encode()).digest())
    size = count = 0
    with arguments.out.open("w", encoding="utf-8") as out:
        for path in files:
            name = str(path.relative_to(arguments.docs))
            for part, text in enumerate(cut(plain_text(path))):
                row = {"id": f"{name}#{part}", "text": text, "source": package(name)}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                size += len(text.encode())
                count += 1
            if size >= arguments.megabytes * 1e6:
                break
    print(f"{count} documents, {size / 1e6:.1f} MB of text")


def package(name: str) -> str:
    """The directory after ``doc``, else ``man``."""
    parts = name.split("/")
    return parts[parts.index("doc") + 1] if "doc" in parts else "man"


def plain_text(path: Path) -> str:
    """The text of a file, or nothing if it holds none."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return ""
    if "\0" in text:
        return ""
    if path.suffix in {".html", ".htm"} or "<html" in text[:500]:
        text = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", text)
        text = re.sub(r"(?i)</?(p|div|li|tr|h\d|pre|br|dt|dd|table|section)\b[^>]*>", "\n", text)
        text = html.unescape(re.sub(r"<[^>]+>", "", text))
        text = re.sub(r"[ \t]*\n\s*\n[ \t]*", "\n\n", text)
    return text.encode(errors="ignore").decode().strip()


def cut(text: str) -> Iterator[str]:
    """Documents of about ``LEAST`` to ``MOST`` characters, cut at paragraph ends."""
    pending: list[str] = []
    size = 0
    for paragraph in text.split("\n\n"):
        pending.append(paragraph)
        size += len(paragraph) + 2
        if size >= LEAST:
            yield "\n\n".join(pending)[:MOST]
            pending, size = [], 0
    if size > 200:
        yield "\n\n".join(pending)


if __name__ == "__main__":
    main()
