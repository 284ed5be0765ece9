"""The kernels again in plain Python: characters, dictionaries and unbounded integers."""

from __future__ import annotations

from collections import Counter

from leadsman.corpus.kernels.unicode import MARK, SINGLE, SPACE, character_class, lower_case

BITS = (1 << 64) - 1
BASE = 0x9E3779B97F4A7C15

ADVERSARIAL = [
    b"",
    b" \n\t ",
    b"one",
    b"\x00\x00 a\x00b",
    "e\u0301te\u0301 na\u00efve Stra\u00dfe \u0130stanbul \u03a3\u03a3".encode(),
    "\u0301\u0302 alone".encode(),
    "\u05e9\u05dc\u05d5\u05dd \u0639\u0644\u064a\u0643\u0645 \u202emixed\u202c".encode(),
    "\u6771\u4eac\u306b\u3044\u307e\u3059\u3002\u4eca\u65e5\u306f".encode(),
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01".encode(),
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea!!".encode(),
    b"\xff\xfe bad \xc3 \xe2\x82 tail \xf0\x9f\x98",
    b"\xed\xa0\x80 surrogate \xc0\xaf overlong \xf5\x80\x80\x80",
    b"a" * 10_000,
    b"!?" * 5_000,
    "\u00a0\u2003x\u3000y".encode(),
]


def decode(raw: bytes) -> list[tuple[str, int]]:
    """Characters with their width; a byte that begins none is U+FFFD, one byte wide."""
    out, place = [], 0
    while place < len(raw):
        for width in (1, 2, 3, 4):
            try:
                out.append((raw[place : place + width].decode(), width))
                place += width
                break
            except UnicodeDecodeError:
                continue
        else:
            out.append(("\ufffd", 1))
            place += 1
    return out


def tokens(raw: bytes) -> list[str]:
    """Lower-cased tokens."""
    out: list[str] = []
    kind = SPACE
    for character, _ in decode(raw):
        group = character_class(character)
        if group == SPACE:
            kind = SPACE
        elif (group == MARK and kind != SPACE) or (group == kind and kind != SINGLE):
            out[-1] += lower_case(character)
        else:
            out.append(lower_case(character))
            kind = 1 if group == MARK else group
    return out


def characters(raw: bytes) -> list[str]:
    """Lower-cased characters, each with the marks on it; white space is a blank."""
    out: list[str] = []
    for character, _ in decode(raw):
        group = character_class(character)
        if group == MARK and out:
            out[-1] += lower_case(character)
        else:
            out.append(" " if group == SPACE else lower_case(character))
    return out


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & BITS
    return value ^ (value >> 31)


def token_hash(token: str) -> int:
    value = 0xCBF29CE484222325
    for character in token:
        value = ((value ^ ord(character)) * 0x100000001B3) & BITS
    return mix(value)


def polynomial(words: list[str]) -> int:
    value = 0
    for word in words:
        value = (value * BASE + token_hash(word)) & BITS
    return value


def ngram_buckets(raw: bytes, n: int, buckets: int, unit: str = "word") -> Counter[int]:
    """How often each bucket of the 1- to n-grams occurs."""
    words = characters(raw) if unit == "character" else tokens(raw)
    counts: Counter[int] = Counter()
    for order in range(1, n + 1):
        for start in range(len(words) - order + 1):
            value = mix((polynomial(words[start : start + order]) + order - 1) & BITS)
            counts[((value >> 32) * buckets) >> 32] += 1
    return counts


def shingles(raw: bytes, n: int) -> set[int]:
    """Hashes of the n-grams, or of all tokens if there are fewer."""
    words = tokens(raw)
    if not words:
        return set()
    size = min(n, len(words))
    return {mix(polynomial(words[i : i + size])) for i in range(len(words) - size + 1)}


def normalised(raw: bytes) -> str:
    """Lower case, white space as single spaces."""
    text = "".join(lower_case(character) for character, _ in decode(raw))
    text = "".join(" " if character_class(c) == SPACE else c for c in text)
    return " ".join(text.split(" ")).strip() if "  " not in text else " ".join(text.split())
