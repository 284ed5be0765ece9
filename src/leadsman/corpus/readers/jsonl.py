"""JSON lines to Arrow batches: whole blocks at C speed, a bad block line by line.

One line is one object: its text (``text``, or ``text_field``) is required, ``id`` and ``source``
are optional, other fields are kept if they are asked for. A line that cannot be used goes to
quarantine with its number.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.json as pj

from leadsman.corpus.readers.options import ReadOptions
from leadsman.corpus.readers.rejects import Rejects
from leadsman.corpus.readers.text_field import text_of
from leadsman.corpus.shards.writer import named_source
from leadsman.errors import InputError

BLOCK_BYTES = 2 << 20
AHEAD = 6
"""Blocks in hand for each worker: parsed while the first wait for kernels to be loaded."""


@dataclass(frozen=True)
class Block:
    """Whole lines of a file.

    Attributes:
        data: the lines, the last one perhaps without its newline.
        first_line: 1-based number of the first.
        newlines: how many there are.
    """

    data: bytes
    first_line: int
    newlines: int


@dataclass(frozen=True)
class JsonLines:
    """How to read one file of JSON lines.

    Attributes:
        file: name of the file, for messages.
        stem: what ids that are made begin with.
        options: of the source.
    """

    file: str
    stem: str
    options: ReadOptions

    def batches(self, stream: Any, rejects: Rejects, *, workers: int) -> Iterator[pa.RecordBatch]:
        """Read a binary stream.

        Args:
            stream: has ``read(bytes)``; damage raises ``OSError`` or ``EOFError``.
            rejects: where bad lines go.
            workers: blocks parsed at once.

        Raises:
            InputError: no line of the first block is a JSON object: this is no file of JSON lines.
        """
        schema: pa.Schema | None = None
        pending: deque[tuple[Block, Future[pa.RecordBatch | None]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for block in self._blocks(stream, rejects):
                schema = schema or self._probe(block, rejects)
                pending.append((block, pool.submit(self._parse, block, schema)))
                if len(pending) > AHEAD * workers:
                    yield from self._finish(*pending.popleft(), rejects)
            while pending:
                yield from self._finish(*pending.popleft(), rejects)

    def _blocks(self, stream: Any, rejects: Rejects) -> Iterator[Block]:
        line, carried, held, skipping = 1, [b""], 0, False
        while True:
            try:
                chunk = bytes(stream.read(BLOCK_BYTES))
            except (OSError, EOFError) as error:
                rejects.add(self.file, 0, f"damaged after line {line - 1}: {error}")
                chunk, carried = b"", []
            if not chunk:
                break
            if skipping:
                _, newline, chunk = chunk.partition(b"\n")
                if not newline:
                    continue
                skipping, line = False, line + 1
            end = chunk.rfind(b"\n") + 1
            if end:
                data = b"".join([*carried, chunk[:end]])
                newlines = data.count(b"\n")
                yield Block(data, line, newlines)
                line += newlines
                carried, held = [], 0
            carried.append(chunk[end:])
            held += len(chunk) - end
            if held > self.options.max_document_bytes:
                rejects.add(self.file, line, self.options.too_long, carried[0][:1000])
                carried, held, skipping = [], 0, True
        if data := b"".join(carried):
            yield Block(data, line, data.count(b"\n"))

    def _probe(self, block: Block, rejects: Rejects) -> pa.Schema:
        """The Arrow type of each field wanted, from the first line that holds an object."""
        problem = None
        for number, line in enumerate(block.data.split(b"\n"), block.first_line):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if isinstance(row, dict):
                    rejects.leave_out(row, self.options.fields)
                    return self._schema(pa.int64() if type(row.get("id")) is int else pa.string())
                said = _no_object(row)
            except (ValueError, RecursionError) as error:
                said = f"not JSON: {error}; a file of JSON lines has one object a line"
            problem = problem or InputError(said, file=self.file, line=number)
        if problem is not None:
            raise problem
        return self._schema(pa.string())

    def _schema(self, id_type: pa.DataType) -> pa.Schema:
        text = (self.options.text_field, pa.large_string())
        others = [(name, pa.string()) for name in self.options.metadata]
        return pa.schema([("id", id_type), text, ("source", pa.string()), *others])

    def _parse(self, block: Block, schema: pa.Schema) -> pa.RecordBatch | None:
        """The block as one batch, or ``None`` if any line needs a closer look."""
        field = self.options.text_field
        if "." in field:
            return None
        try:
            table = pj.read_json(
                pa.BufferReader(block.data),
                read_options=pj.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
                parse_options=pj.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="ignore"
                ),
            )
            table.validate(full=True)
        except (pa.ArrowException, OSError):
            return None
        lines = block.newlines + (not block.data.endswith(b"\n"))
        if table.num_rows != lines or table[field].null_count:
            return None
        columns = {
            "text" if name == field else name: _one_chunk(table[name])
            for name in table.column_names
        }
        return self._batch(columns, range(block.first_line, block.first_line + lines))

    def _finish(
        self, block: Block, parsed: Future[pa.RecordBatch | None], rejects: Rejects
    ) -> Iterator[pa.RecordBatch]:
        batch = parsed.result()
        if batch is not None:
            last = block.first_line + batch.num_rows
            yield from rejects.unique(batch, range(block.first_line, last), self.file)
            return
        rows: dict[str, list[Any]] = {"id": [], "text": [], "source": []}
        rows |= {name: [] for name in self.options.metadata}
        numbers = []
        for number, line in enumerate(block.data.split(b"\n"), block.first_line):
            if not line.strip():
                continue
            try:
                row = _row(line, self.options.text_field)
            except ValueError as error:
                rejects.add(self.file, number, str(error), line)
                continue
            numbers.append(number)
            for name, values in rows.items():
                values.append(_as_text(row.get(name)))
        if numbers:
            kinds = {"text": pa.large_string()}
            columns = {
                name: pa.array(values, kinds.get(name, pa.string()))
                for name, values in rows.items()
            }
            yield from rejects.unique(self._batch(columns, numbers), numbers, self.file)

    def _batch(self, columns: dict[str, Any], numbers: Sequence[int]) -> pa.RecordBatch:
        ids = columns["id"].cast(pa.string())
        if ids.null_count:
            given = ids.to_pylist()
            ids = pa.array(
                [own or f"{self.stem}:{number}" for own, number in zip(given, numbers)], pa.string()
            )
        name = self.options.source
        own_source = named_source(columns["source"], self.options.name)
        if name is not None:
            own_source = pa.array([name] * len(ids), pa.string())
        arrays = {"id": ids, "text": columns["text"], "source": own_source}
        arrays |= {field: columns[field] for field in self.options.metadata}
        return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _row(line: bytes, text_field: str) -> dict[str, Any]:
    """The line's object, with its text under ``text``.

    Raises:
        ValueError: what is wrong with the line, for a person.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(_no_object(row))
    row["text"] = text_of(row, text_field)
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not Unicode: {error.reason}") from error
    return row


def _no_object(value: Any) -> str:
    hint = " (of one list, `jq -c '.[]'` makes JSON lines)" if isinstance(value, list) else ""
    return f"a JSON {type(value).__name__}, expected an object with 'text'{hint}"


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
