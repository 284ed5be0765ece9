"""Quantize, prune, merge: one file per method."""
