"""Near-duplicates by datatrove: its four MinHash stages on one machine, two workers."""

import json
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

folder, work = sys.argv[1], Path(sys.argv[2])

if __name__ == "__main__":
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    reader = JsonlReader(folder)
    sign, buckets, remove = (str(work / name) for name in ("sign", "buckets", "remove"))
    stages = [
        (2, [reader, MinhashDedupSignature(output_folder=sign, config=config)]),
        (14, [MinhashDedupBuckets(input_folder=sign, output_folder=buckets, config=config)]),
        (1, [MinhashDedupCluster(input_folder=buckets, output_folder=remove, config=config)]),
        (
            2,
            [
                reader,
                MinhashDedupFilter(
                    input_folder=remove, exclusion_writer=JsonlWriter(str(work / "removed"))
                ),
                JsonlWriter(str(work / "kept")),
            ],
        ),
    ]
    begin = time.perf_counter()
    for number, (tasks, pipeline) in enumerate(stages):
        LocalPipelineExecutor(
            pipeline=pipeline,
            tasks=tasks,
            workers=2,
            logging_dir=str(work / f"logs{number}"),
        ).run()
    print(json.dumps({"seconds": time.perf_counter() - begin}))
