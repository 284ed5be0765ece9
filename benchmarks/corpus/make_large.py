"""A larger corpus for scaling and fault runs: the text over and over, each time edited.

    python -m benchmarks.corpus.make_large text.jsonl --gigabytes 3 --out large.jsonl

In round r, 30 % of the words of every document (drawn anew, seeded) are replaced by words drawn
from the text's own, so a round has about the n-gram statistics of the first, and no document of a
later round is a near copy (Jaccard similarity of 5-word shingles about 0.1) of an earlier one.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--gigabytes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    lines = arguments.text.read_bytes().splitlines()
    generator = random.Random(0)
    vocabulary = [
        word for line in generator.sample(lines, 500) for word in json.loads(line)["text"].split()
    ]
    size, target = 0, arguments.gigabytes * 1e9
    with arguments.out.open("wb") as out:
        for turn in range(1 << 30):
            for line in lines:
                if size >= target:
                    print(f"{size / 1e9:.2f} GB of lines")
                    return
                data = line if turn == 0 else edited(line, turn, vocabulary, generator)
                out.write(data + b"\n")
                size += len(data) + 1


def edited(line: bytes, turn: int, vocabulary: list[str], generator: random.Random) -> bytes:
    """The document with 30 % of its words replaced, under another id."""
    row = json.loads(line)
    words = row["text"].split(" ")
    count = round(0.3 * len(words))
    places = generator.choices(range(len(words)), k=round(1.2 * count))
    for place, word in zip(places, generator.choices(vocabulary, k=len(places))):
        words[place] = word
    row |= {"id": f"{turn}/{row['id']}", "text": " ".join(words)}
    return json.dumps(row, ensure_ascii=False).encode()


if __name__ == "__main__":
    main()
