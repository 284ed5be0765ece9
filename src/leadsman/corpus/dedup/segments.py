"""Cuts documents into lines or paragraphs, in a kernel; the pieces add up to the document.

A line ends after its newline. A paragraph ends before the first line with content after a blank
one, so the blank lines belong to the paragraph they follow.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from leadsman.corpus.kernels.jit import jit
from leadsman.corpus.kernels.text import TextColumn
from leadsman.corpus.kernels.tokens import Bytes, Ints

Unit = Literal["paragraph", "line"]
_NEWLINE = 10


@jit
def _blank(byte: int) -> bool:
    return byte == 32 or (9 <= byte <= 13)


@jit
def _segment(
    data: Bytes, offsets: Ints, by_line: bool, ends: Ints, owners: Ints, contents: Ints
) -> int:
    """Write where each piece ends, its document, and its bytes that are no white space."""
    count = 0
    for document in range(offsets.size - 1):
        start, end = offsets[document], offsets[document + 1]
        line, line_content, content, after_blank = start, 0, 0, False
        for position in range(start, end):
            byte = data[position]
            line_content += not _blank(byte)
            if byte != _NEWLINE and position + 1 < end:
                continue
            # One whole line, [line, position], has been read.
            if not by_line and line_content and after_blank and content:
                ends[count], owners[count], contents[count] = line, document, content
                count += 1
                content = 0
            content += line_content
            after_blank = line_content == 0
            line, line_content = position + 1, 0
            if by_line or position + 1 == end:
                ends[count], owners[count], contents[count] = position + 1, document, content
                count += 1
                content = 0
    return count


def segments(column: TextColumn, unit: Unit) -> tuple[TextColumn, Ints, Ints]:
    """The pieces of all documents, one after the other.

    Returns:
        The pieces as a column, the document (row) of each, and its bytes of content, each of
        shape (pieces,). An empty document has none.

    >>> import pyarrow as pa
    >>> text = TextColumn.of(pa.array(["a b", "", "one\\ntwo\\n\\n  three"]))
    >>> pieces, owners, contents = segments(text, "paragraph")
    >>> pieces.lengths.tolist(), owners.tolist(), contents.tolist()
    ([3, 9, 7], [0, 2, 2], [2, 6, 5])
    """
    low, high = int(column.offsets[0]), int(column.offsets[-1])
    most = int(np.count_nonzero(column.data[low:high] == _NEWLINE)) + len(column)
    ends, owners = np.empty(most, np.int64), np.empty(most, np.int64)
    contents = np.empty(most, np.int64)
    count = _segment(column.data, column.offsets, unit == "line", ends, owners, contents)
    offsets = np.concatenate([column.offsets[:1], ends[:count]])
    return TextColumn(column.data, offsets), owners[:count], contents[:count]
