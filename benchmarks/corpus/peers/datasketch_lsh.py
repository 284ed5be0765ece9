"""Near-duplicates by datasketch: the loop of its documentation, one query and insert a document."""

import json
import sys
import time

from datasketch import MinHash, MinHashLSH

raw, out = sys.argv[1], sys.argv[2]
bands, rows, n = 14, 8, 5

begin = time.perf_counter()
lsh = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
removed = []
with open(raw, encoding="utf-8") as lines:
    for line in lines:
        row = json.loads(line)
        words = row["text"].lower().split()
        shingles = {" ".join(words[i : i + n]).encode() for i in range(max(1, len(words) - n + 1))}
        minhash = MinHash(num_perm=bands * rows)
        minhash.update_batch(list(shingles))
        if lsh.query(minhash):
            removed.append(row["id"])
        else:
            lsh.insert(row["id"], minhash)
seconds = time.perf_counter() - begin
with open(out, "w") as file:
    json.dump(removed, file)
print(json.dumps({"seconds": seconds, "removed": len(removed)}))
