"""DSIR by its authors' package (PyPI data-selection): fit, weights, resample, write."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from data_selection import HashedNgramDSIR

raw, target, work, wanted = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])

if __name__ == "__main__":
    np.random.seed(0)  # noqa: NPY002 - the package draws from the global generator
    begin = time.perf_counter()
    dsir = HashedNgramDSIR(
        raw_datasets=[raw],
        target_datasets=[target],
        cache_dir=str(work / "cache"),
        num_proc=2,
        min_example_length=0,
    )
    dsir.fit_importance_estimator(num_tokens_to_fit="all")
    fitted = time.perf_counter()
    dsir.compute_importance_weights()
    dsir.resample(out_dir=str(work / "out"), num_to_sample=wanted, cache_dir=str(work / "chosen"))
    done = time.perf_counter()
    parts = [np.load(work / f"cache/log_importance_weights/{i}.npy") for i in range(2)]
    # Document i went to process i % 2.
    weights = np.empty(sum(map(len, parts)))
    weights[0::2], weights[1::2] = parts
    np.save(work / "weights.npy", weights)
    chosen = [json.loads(line)["id"] for f in work.rglob("*.jsonl") for line in f.open()]
    (work / "chosen.json").write_text(json.dumps(sorted(chosen)))
    print(json.dumps({"seconds": done - begin, "fit_seconds": fitted - begin}))
