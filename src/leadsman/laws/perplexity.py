"""Perplexities: laws describe their logarithm, nats per token, which has the offset they know.

perplexity = exp(loss),  loss = E + A / N^alpha + B / D^beta
"""

from __future__ import annotations

import polars as pl

from leadsman.laws.table import column

NAMES = ("ppl", "perplexity")


def is_perplexity(runs: pl.DataFrame, y: str) -> bool:
    """Whether a column is named as one (``ppl``, ``eval/ppl``, ``perplexity.c4``) and can be one.

    >>> is_perplexity(pl.DataFrame({"eval/ppl": [30.0, 25.0]}), "eval/ppl")
    True
    """
    parts = y.lower().replace("/", ".").replace("_", ".").split(".")
    if y not in runs.columns or not set(parts) & set(NAMES):
        return False
    return bool(column(runs, y).min() > 1)
