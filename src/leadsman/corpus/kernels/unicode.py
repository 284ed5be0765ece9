"""What each Unicode code point is to a tokeniser, as tables the kernels index.

A token is a run of word characters (letters, digits, underscore), a run of symbols, or one
character of a script written without spaces (Chinese, Japanese kana, Thai, Lao, Khmer, Burmese).
Combining marks and joiners stay with the token they follow. Lower case is one to one: U+0130
becomes ``i`` and a final sigma is not told from any other.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

SPACE, WORD, SYMBOL, SINGLE, MARK = range(5)
Codes = npt.NDArray[np.int64]

Unit = Literal["word", "character"]
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x3FFFF),
)
_JOINERS = "\u200c\u200d"


def character_class(character: str) -> int:
    """Class of one character: ``SPACE``, ``WORD``, ``SYMBOL``, ``SINGLE`` or ``MARK``.

    >>> [character_class(c) for c in " a_+漢"] == [SPACE, WORD, WORD, SYMBOL, SINGLE]
    True
    """
    if character.isspace():
        return SPACE
    if unicodedata.category(character)[0] == "M" or character in _JOINERS:
        return MARK
    if not (character.isalnum() or character == "_"):
        return SYMBOL
    code = ord(character)
    single = any(low <= code <= high for low, high in _WITHOUT_SPACES)
    return SINGLE if single and not character.isdecimal() else WORD


def lower_case(character: str) -> str:
    """Lower case of one character, always one character."""
    return character.lower()[0]


@cache
def tables(unit: Unit = "word") -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Class and lower case of every code point: two arrays of shape (0x110000,).

    Args:
        unit: what a token is. ``character``: each character with the marks on it; white space is
            a token too, of whatever kind the same.
    """
    if unit == "character":
        return _character_tables()
    # Beyond these planes nothing is assigned but private use and the variation selectors.
    codes = np.array([*range(0x33480), *range(0xE0100, 0xE01F0)])
    characters = list(map(chr, codes.tolist()))
    lower = np.arange(sys.maxunicode + 1, dtype=np.int32)
    lower[codes] = [ord(small[0]) for small in map(str.lower, characters)]
    classes = np.full(sys.maxunicode + 1, SYMBOL, dtype=np.uint8)
    classes[codes] = _classes(codes, characters)
    return classes, lower


def _classes(codes: Codes, characters: list[str]) -> npt.NDArray[np.uint8]:
    """:func:`character_class` of many characters, in a twentieth of the time of one by one."""
    mark = np.array([name[0] == "M" for name in map(unicodedata.category, characters)])
    array = np.array(characters)
    decimal, word, space = (
        test(array) for test in (np.char.isdecimal, np.char.isalnum, np.char.isspace)
    )
    mark |= np.isin(codes, [ord(joiner) for joiner in _JOINERS])
    word |= codes == ord("_")
    single = np.zeros(len(codes), np.bool_)
    for low, high in _WITHOUT_SPACES:
        single |= (codes >= low) & (codes <= high)
    kinds = [(space, SPACE), (mark, MARK), (~word, SYMBOL), (single & ~decimal, SINGLE)]
    chosen = np.select([test for test, _ in kinds], [kind for _, kind in kinds], WORD)
    return chosen.astype(np.uint8)


def _character_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    classes, lower = tables("word")
    single = np.where(classes == MARK, MARK, SINGLE).astype(np.uint8)
    return single, np.where(classes == SPACE, np.int32(ord(" ")), lower)
