"""Measurements, each a script of its own; results are committed beside them."""
