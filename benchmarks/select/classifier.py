"""Our n-gram classifier and fastText on the same documents: accuracy, and seconds of one core.

    python -m benchmarks.select.classifier --corpora DIR --fasttext PYTHON \
        --out benchmarks/select/results

PYTHON is the interpreter of an environment with fasttext-numpy2-wheel (the other fastText
packages give wrong probabilities with numpy 2). Three questions, each target against others; a
fifth of each side is the test. Both learn from the same documents, as many of each side, with one
thread. Seconds are processor time, which a busy machine does not stretch. Reading and, for
fastText, putting a document on one line is not timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from benchmarks.machine import machine
from sklearn.metrics import roc_auc_score

from leadsman.corpus import write_corpus
from leadsman.select.methods.ngram_classifier import NgramClassifier

QUESTIONS = {
    "peps": ["rust_rfcs"],
    "tldr_other": ["tldr_en"],
    "books": ["peps", "rust_rfcs", "sympy_code", "tldr_en"],
}
PEER = Path(__file__).parent / "peers/fasttext_classifier.py"


def sides(target: str, others: list[str], corpora: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Training and test documents of target and others, as many to train on of each."""
    generator = np.random.default_rng(0)
    found = []
    for names in ([target], others):
        texts = [
            text
            for name in names
            for text in pq.read_table(corpora / f"{name}.parquet")["text"].to_pylist()
        ]
        found.append([texts[i] for i in generator.permutation(len(texts))])
    tests = [texts[: len(texts) // 5] for texts in found]
    rest = [texts[len(texts) // 5 :] for texts in found]
    count = min(map(len, rest))
    return [texts[:count] for texts in rest], tests


def ours(train: list[list[str]], tests: list[list[str]], place: Path) -> dict[str, Any]:
    """Fit and score with our classifier."""
    target, raw, test = (
        write_corpus(place / name, [{"text": text} for text in texts])
        for name, texts in (
            ("target", train[0]),
            ("raw", train[1]),
            ("test", [*tests[0], *tests[1]]),
        )
    )
    small = write_corpus(place / "small", [{"text": text} for text in train[0][:200]])
    NgramClassifier().fit(small, small).score(next(small.batches()))  # compiles the kernels
    batches = list(test.batches(["text"]))
    begin = time.process_time()
    classifier = NgramClassifier(max_documents=10**9).fit(raw, target)
    fitted = time.process_time()
    scores = np.concatenate([classifier.score(batch) for batch in batches])
    return {
        "fit_seconds": fitted - begin,
        "score_seconds": time.process_time() - fitted,
        "log_odds": scores.tolist(),
    }


def theirs(train: list[list[str]], tests: list[list[str]], place: Path, python: str) -> Any:
    """Fit and score with fastText in its own environment."""

    def line(text: str) -> str:
        return " ".join(text.split())

    labelled = [f"__label__target {line(text)}" for text in train[0]]
    labelled += [f"__label__other {line(text)}" for text in train[1]]
    order = np.random.default_rng(1).permutation(len(labelled))
    (place / "train.txt").write_text("\n".join(labelled[i] for i in order), encoding="utf-8")
    (place / "test.txt").write_text("\n".join(map(line, [*tests[0], *tests[1]])), encoding="utf-8")
    files = [place / name for name in ("train.txt", "test.txt", "found.json")]
    subprocess.run([python, PEER, *files], check=True)
    return json.loads(files[2].read_text())


def main() -> None:
    """Ask the questions; write ``classifier.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--fasttext", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine("leadsman", "numpy", "scikit-learn"), "asked": []}
    for target, others in QUESTIONS.items():
        train, tests = sides(target, others, options.corpora)
        labels = np.repeat([1, 0], [len(tests[0]), len(tests[1])])
        row: dict[str, Any] = {
            "target": target,
            "others": others,
            "train_documents": sum(map(len, train)),
            "train_bytes": sum(len(t.encode()) for texts in train for t in texts),
            "test_documents": len(labels),
            "test_bytes": sum(len(t.encode()) for texts in tests for t in texts),
        }
        with tempfile.TemporaryDirectory() as folder:
            both = {
                "ours": ours(train, tests, Path(folder)),
                "fasttext": theirs(train, tests, Path(folder), options.fasttext),
            }
        for name, found in both.items():
            odds = np.array(found.pop("log_odds"))
            row[name] = found | {
                "accuracy": float(((odds > 0) == labels).mean()),
                "auc": float(roc_auc_score(labels, odds)),
            }
        for part in ("fit", "score"):
            seconds = f"{part}_seconds"
            row[f"{part}_ratio"] = row["fasttext"][seconds] / row["ours"][seconds]
        results["asked"].append(row)
        print(json.dumps(row, indent=1), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "classifier.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
