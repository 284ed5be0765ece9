"""Leadsman sounds before you sail: it forecasts what a training run will give, and says how surely.

The nouns are importable from here; each lives in the room that owns it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from leadsman._version import __version__

if TYPE_CHECKING:
    from leadsman.corpus import Corpus, Source, Target
    from leadsman.laws import Forecast
    from leadsman.plan import Budget, Plan
    from leadsman.runs import Ledger, Mixture, ModelShape, Recipe, Run

_HOME = {
    "Budget": "leadsman.plan",
    "Corpus": "leadsman.corpus",
    "Forecast": "leadsman.laws",
    "Ledger": "leadsman.runs",
    "Mixture": "leadsman.runs",
    "ModelShape": "leadsman.runs",
    "Plan": "leadsman.plan",
    "Recipe": "leadsman.runs",
    "Run": "leadsman.runs",
    "Source": "leadsman.corpus",
    "Target": "leadsman.corpus",
}

__all__ = [
    "Budget",
    "Corpus",
    "Forecast",
    "Ledger",
    "Mixture",
    "ModelShape",
    "Plan",
    "Recipe",
    "Run",
    "Source",
    "Target",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Rooms pull in numba, polars and duckdb; `import leadsman` must not.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'leadsman' has no attribute {name!r}")
