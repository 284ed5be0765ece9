"""Documents in: readers, shards, hashing kernels, deduplication."""
