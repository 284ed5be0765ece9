"""fastText on the lines of TRAIN (``__label__x text``), scores for the lines of TEST, one thread.

python fasttext_classifier.py TRAIN TEST OUT: writes OUT as JSON with seconds and log odds.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import fasttext
import numpy as np

train, test, out = map(Path, sys.argv[1:])
lines = test.read_text(encoding="utf-8").split("\n")
begin = time.process_time()
model = fasttext.train_supervised(
    str(train), wordNgrams=2, bucket=1 << 18, dim=100, epoch=5, lr=0.5, thread=1, verbose=0, seed=0
)
fitted = time.process_time()
labels, probabilities = model.predict(lines, k=2)
scored = time.process_time()
target = [
    dict(zip(names, values))["__label__target"] for names, values in zip(labels, probabilities)
]
p = np.clip(np.array(target), 1e-6, 1 - 1e-6)
out.write_text(
    json.dumps(
        {
            "fit_seconds": fitted - begin,
            "score_seconds": scored - fitted,
            "log_odds": np.log(p / (1 - p)).tolist(),
            "version": version("fasttext-numpy2-wheel"),
        }
    )
)
