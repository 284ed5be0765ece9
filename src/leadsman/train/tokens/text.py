"""The texts of a corpus, however they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pyarrow as pa

from leadsman.errors import InputError

Text: TypeAlias = str | pa.RecordBatch | pa.Table


def texts(corpus: Iterable[Text]) -> Iterator[str]:
    """The texts of an iterable of strings or of Arrow batches with a column ``text``.

    >>> list(texts(["a", pa.record_batch({"text": ["b", None]})]))
    ['a', 'b']
    """
    for item in corpus:
        if isinstance(item, str):
            yield item
            continue
        if "text" not in item.schema.names:
            raise InputError(f"columns are {item.schema.names}; 'text' is missing", column="text")
        yield from (text for text in item.column("text").to_pylist() if text is not None)
