"""The hot loops, compiled: tokens, n-grams, MinHash, overlap, straight from Arrow buffers."""
