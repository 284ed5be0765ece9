"""How far DSIR agrees with itself under another hash function: the ceiling of any comparison.

    python -m benchmarks.corpus.hash_noise --inputs DIR --out benchmarks/corpus/results

Millions of different bigrams share 10,000 buckets, so which rare n-grams are counted together is
an accident of the hash. The package is copied to a temporary directory, two constants of its hash
are replaced by others, and both versions weigh the same documents for the same target.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.machine import machine

import leadsman

REPLACED = {"0x9E3779B97F4A7C15": "0xD1B54A32D192ED03", "0x100000001B3": "0x100000001B5"}
JOB = """
import sys
import numpy as np
from leadsman.corpus import convert
from leadsman.select.methods.dsir import DSIR

raw, target, work = sys.argv[1:]
corpora = [convert(path, f"{work}/{i}").corpus for i, path in enumerate((raw, target))]
selector = DSIR()
selector.fit(*corpora, seed=0)
np.save(f"{work}/weights.npy", np.concatenate([selector.score(b) for b in corpora[0].batches()]))
"""


def main() -> None:
    """Write ``hash_noise.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        own = Path(leadsman.__file__).parent
        other = place / "src/leadsman"
        shutil.copytree(own, other, ignore=shutil.ignore_patterns("__pycache__"))
        kernels = other / "corpus/kernels/tokens.py"
        text = kernels.read_text()
        for old, new in REPLACED.items():
            if old not in text:
                raise SystemExit(f"{old} is no constant of the hash any more")
            text = text.replace(old, new)
        kernels.write_text(text)
        one = weigh(own.parent, arguments.inputs, place / "one")
        two = weigh(other.parent, arguments.inputs, place / "two")
    ranks = [np.argsort(np.argsort(weights)) for weights in (one, two)]
    tenth = len(one) // 10
    top = [set(np.argsort(-weights)[:tenth].tolist()) for weights in (one, two)]
    result = {
        "machine": machine("numpy", "numba"),
        "documents": len(one),
        "spearman": float(np.corrcoef(*ranks)[0, 1]),
        "top_tenth_overlap": len(top[0] & top[1]) / tenth,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "hash_noise.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def weigh(source: Path, inputs: Path, work: Path) -> np.ndarray:
    """Log-weights of all documents by the package at ``source``."""
    work.mkdir(parents=True)
    command = [sys.executable, "-c", JOB, inputs / "text.jsonl", inputs / "target.jsonl", work]
    environment = os.environ | {"PYTHONPATH": str(source)}
    subprocess.run([str(part) for part in command], check=True, env=environment)
    weights: np.ndarray = np.load(work / "weights.npy")
    return weights


if __name__ == "__main__":
    main()
