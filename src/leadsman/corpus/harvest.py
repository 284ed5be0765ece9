"""Real text that every machine with Python already has, as sources and a target to try things on.

Six kinds: source code of the standard library and of installed packages, docstrings as prose,
package READMEs (the long description in ``METADATA``), licences, and manuals (man pages and
``/usr/share/doc``). The packages in ``held_out`` are kept out of every source; their docstrings
are the target. Files are visited in an order that depends on the seed alone, so a cap on bytes
takes a fair sample and the same machine gives the same text twice.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import os
import re
import secrets
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from pathlib import Path

DEFAULT_HELD_OUT = ("scipy", "sklearn", "scikit-learn", "scikit_learn")
MIN_BYTES = 200
MAX_BYTES = 6_000


@dataclass(frozen=True)
class Harvest:
    """One JSONL file of documents.

    Attributes:
        name: what it holds (``stdlib-code``, ``docstrings``, ...).
        path: the file; ``None`` if this machine has no such text.
        documents: number of lines.
        revealed_bytes: UTF-8 bytes of text written.
        full_bytes: bytes of text of this kind on the machine; more than ``revealed_bytes`` if
            only a part is revealed.
    """

    name: str
    path: Path | None
    documents: int
    revealed_bytes: int
    full_bytes: int


def harvest_source(
    name: str,
    directory: Path,
    *,
    seed: int,
    held_out: Sequence[str] = DEFAULT_HELD_OUT,
    max_bytes: int = 20_000_000,
    revealed: float = 1.0,
) -> Harvest:
    """Write one source of this machine's text to ``directory/NAME.jsonl``.

    Args:
        name: one of :data:`SOURCES`, or ``target`` (docstrings of the held-out packages).
        directory: where the file goes; it appears complete or not at all.
        seed: decides the order in which files are visited.
        held_out: packages that belong to the target alone.
        max_bytes: stop after this much text.
        revealed: share of the files that is readable; the full size is still measured.

    Returns:
        What was written; ``path`` is ``None`` where this machine has no such text.
    """
    files = sorted(_FILES[name](held_out), key=lambda path: _order(path, seed))
    readable = files[: max(1, round(len(files) * revealed))] if files else []
    extract = _EXTRACT[name]
    temporary = directory / f".{name}-{secrets.token_hex(4)}.jsonl.tmp"
    directory.mkdir(parents=True, exist_ok=True)
    documents = written = file_bytes_read = 0
    with temporary.open("w", encoding="utf-8") as out:
        for path in readable:
            if written >= max_bytes:
                break
            file_bytes_read += path.stat().st_size
            for number, text in enumerate(extract(path)):
                identity = f"{_label(path)}#{number}"
                line = json.dumps({"id": identity, "text": text, "source": name})
                out.write(line + "\n")
                documents += 1
                written += len(text.encode())
    if not documents:
        temporary.unlink()
        return Harvest(name, None, 0, 0, 0)
    final = directory / f"{name}.jsonl"
    os.replace(temporary, final)
    full = written
    if revealed < 1:
        text_share = written / max(file_bytes_read, 1)
        full = round(text_share * sum(path.stat().st_size for path in files))
    return Harvest(name, final, documents, written, full)


def _order(path: Path, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{_label(path)}".encode(), digest_size=8).digest()


def _label(path: Path) -> str:
    for root in (_SITE, _STDLIB):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.as_posix()


_SITE = Path(sysconfig.get_paths()["purelib"])
_STDLIB = Path(sysconfig.get_paths()["stdlib"])


def _package(path: Path) -> str:
    return path.relative_to(_SITE).parts[0].removesuffix(".py")


def _distribution(path: Path) -> str:
    """Name of the package that a file in a ``.dist-info`` directory is about."""
    return path.relative_to(_SITE).parts[0].split("-")[0].lower()


def _stdlib_files(held_out: Sequence[str]) -> list[Path]:
    skip = {"site-packages", "test", "tests", "idlelib", "lib2to3"}
    return [
        path
        for path in _STDLIB.rglob("*.py")
        if not skip & set(path.relative_to(_STDLIB).parts[:-1])
    ]


def _package_files(held_out: Sequence[str]) -> list[Path]:
    return [path for path in _SITE.rglob("*.py") if _package(path) not in held_out]


def _docstring_files(held_out: Sequence[str]) -> list[Path]:
    return _stdlib_files(held_out) + _package_files(held_out)


def _target_files(held_out: Sequence[str]) -> list[Path]:
    tests = {"tests", "test", "externals", "_lib"}
    return [
        path
        for package in held_out
        for path in (_SITE / package).rglob("*.py")
        if not tests & set(path.parts)
    ]


def _metadata_files(held_out: Sequence[str]) -> list[Path]:
    return [
        path for path in _SITE.glob("*.dist-info/METADATA") if _distribution(path) not in held_out
    ]


def _licence_files(held_out: Sequence[str]) -> list[Path]:
    found = [
        path
        for path in _SITE.glob("*.dist-info/**/*")
        if re.search(r"LICEN[CS]E|COPYING|NOTICE", path.name, re.IGNORECASE)
        and path.is_file()
        and _distribution(path) not in held_out
    ]
    common = Path("/usr/share/common-licenses")
    return found + [path for path in common.glob("*") if path.is_file()]


def _manual_files(held_out: Sequence[str]) -> list[Path]:
    pages = [path for path in Path("/usr/share/man").glob("man[1-8]/*.gz") if path.is_file()]
    docs = [
        path
        for pattern in ("*/README*", "*/NEWS*", "*/copyright", "*/*.txt", "*/*.txt.gz")
        for path in Path("/usr/share/doc").glob(pattern)
        if path.is_file()
    ]
    return pages + docs


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, gzip.BadGzipFile):
        return ""
    return data.decode("utf-8", errors="replace")


def _pieces(text: str, boundary: str) -> Iterator[str]:
    """Cut at ``boundary`` (a regular expression) into pieces of at most ``MAX_BYTES``."""
    piece = ""
    for part in re.split(boundary, text):
        if piece and len(piece) + len(part) > MAX_BYTES:
            yield from _hard_cut(piece)
            piece = ""
        piece += part
    yield from _hard_cut(piece)


def _hard_cut(piece: str) -> Iterator[str]:
    for start in range(0, len(piece), 2 * MAX_BYTES):
        part = piece[start : start + 2 * MAX_BYTES].strip("\n")
        if len(part) >= MIN_BYTES:
            yield part


def _code(path: Path) -> Iterator[str]:
    return _pieces(_read(path), r"(?m)^(?=(?:def|class|async def|@)\b)")


def _prose(path: Path) -> Iterator[str]:
    return _pieces(_read(path), r"(?<=\n\n)")


def _docstrings(path: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other people's invalid escapes
        try:
            tree = ast.parse(_read(path))
        except (SyntaxError, ValueError, RecursionError):
            return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield from _pieces(text, r"(?<=\n\n)")


def _readme(path: Path) -> Iterator[str]:
    message = BytesParser(policy=policy.compat32).parsebytes(path.read_bytes())
    payload = message.get_payload(decode=True)
    text = payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""
    return _pieces(text or str(message.get("Description", "")), r"(?<=\n\n)")


def _manual(path: Path) -> Iterator[str]:
    text = _read(path)
    if path.parent.name.startswith("man"):
        text = re.sub(r"(?m)^[.']\\\".*\n", "", text)
        text = re.sub(r"(?m)^\.(?:SH|SS|TH|Sh|Ss)\s+(.*)$", r"\n\n\1", text)
        text = re.sub(r"(?m)^\.(?:PP|P|LP|sp|TP|IP|Pp)\b.*$", "", text)
        text = re.sub(r"(?m)^\.[A-Za-z]{1,3}\s*", "", text)
        text = re.sub(r"\\f(?:\[\w*\]|\(\w\w|\w)", "", text)
        text = text.replace(r"\-", "-").replace(r"\&", "").replace(r"\e", "\\")
    return _pieces(text, r"(?<=\n\n)")


_FILES: dict[str, Callable[[Sequence[str]], list[Path]]] = {
    "stdlib-code": _stdlib_files,
    "package-code": _package_files,
    "docstrings": _docstring_files,
    "readmes": _metadata_files,
    "licences": _licence_files,
    "manuals": _manual_files,
    "target": _target_files,
}
_EXTRACT: dict[str, Callable[[Path], Iterator[str]]] = {
    "stdlib-code": _code,
    "package-code": _code,
    "docstrings": _docstrings,
    "readmes": _readme,
    "licences": _prose,
    "manuals": _manual,
    "target": _docstrings,
}
SOURCES: tuple[str, ...] = tuple(name for name in _FILES if name != "target")
"""Names of the sources, those that every machine has first."""
