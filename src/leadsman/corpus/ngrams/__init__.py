"""Hashed n-gram counts, an n-gram language model, and the cheap proxy made of it."""
