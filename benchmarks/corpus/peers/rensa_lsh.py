"""Near-duplicates by rensa: the loop of its documentation, one query and insert a document."""

import json
import sys
import time

from rensa import RMinHash, RMinHashLSH

raw, out = sys.argv[1], sys.argv[2]
bands, rows, n = 14, 8, 5

begin = time.perf_counter()
lsh = RMinHashLSH(threshold=0.7, num_perm=bands * rows, num_bands=bands)
removed = []
with open(raw, encoding="utf-8") as lines:
    for number, line in enumerate(lines):
        row = json.loads(line)
        words = row["text"].lower().split()
        shingles = {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}
        minhash = RMinHash(num_perm=bands * rows, seed=42)
        minhash.update(list(shingles))
        if lsh.query(minhash):
            removed.append(row["id"])
        else:
            lsh.insert(number, minhash)
seconds = time.perf_counter() - begin
with open(out, "w") as file:
    json.dump(removed, file)
print(json.dumps({"seconds": seconds, "removed": len(removed)}))
