"""What the comparison needs beside the text: a target, evaluation items, planted near copies.

    python -m benchmarks.corpus.make_inputs text.jsonl --corpora DIR --out INPUTS

DIR holds ``peps``, ``rust_rfcs`` and ``books`` as Parquet with a ``text`` column. Written are

    target.jsonl    300 PEPs
    items.jsonl     10,000 paragraphs of 300 to 2,000 characters: evaluation items
    leaky.jsonl     text.jsonl, with an item put into each of 200 documents
    planted.jsonl   text.jsonl and, of 2,000 documents, a copy with 2 % of the words edited;
                    the copies' ids begin with ``planted/``
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

ITEMS, LEAKS, COPIES, EDITED = 10_000, 200, 2000, 0.02


def main() -> None:
    """Write the four files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    generator = random.Random(0)
    rows = [json.loads(line) for line in arguments.text.open(encoding="utf-8")]
    peps = documents(arguments.corpora / "peps.parquet")
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    write(out / "target.jsonl", numbered("pep", generator.sample(peps, 300)))
    others = documents(arguments.corpora / "rust_rfcs.parquet")
    others += documents(arguments.corpora / "books.parquet")
    found = [p for text in others for p in text.split("\n\n") if 300 < len(p) < 2000]
    items = numbered("item", generator.sample(found, ITEMS))
    write(out / "items.jsonl", items)
    write(out / "leaky.jsonl", with_leaks(rows, items, generator))
    copies = [edited(row, generator) for row in generator.sample(rows, COPIES)]
    write(out / "planted.jsonl", [*rows, *copies])


def documents(path: Path) -> list[str]:
    """The texts of a Parquet file."""
    return pl.read_parquet(path, columns=["text"])["text"].to_list()


def numbered(name: str, texts: Iterable[str]) -> list[dict[str, Any]]:
    """Texts as rows."""
    return [{"id": f"{name}/{i}", "text": text} for i, text in enumerate(texts)]


def with_leaks(
    rows: list[dict[str, Any]], items: list[dict[str, Any]], generator: random.Random
) -> list[dict[str, Any]]:
    """The rows; to some, named ``leak/NUMBER``, an item is added."""
    leaky = dict(zip(generator.sample(range(len(rows)), LEAKS), items))
    return [
        row
        if number not in leaky
        else row | {"id": f"leak/{number}", "text": f"{row['text']}\n\n{leaky[number]['text']}"}
        for number, row in enumerate(rows)
    ]


def edited(row: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    """A copy with 2 % of its words, at least one, replaced by words that are nowhere else."""
    words = row["text"].split()
    for place in generator.sample(range(len(words)), max(1, round(EDITED * len(words)))):
        words[place] = f"edit{generator.getrandbits(48):x}"
    return row | {"id": f"planted/{row['id']}", "text": " ".join(words)}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
