"""Loss after fine-tuning as a power of the data, alone or with the size of the base model.

    plain   L(D)    = E + A * D^-beta
    joint   L(N, D) = E + A * N^-alpha * D^-beta

Zhang et al., "When Scaling Meets LLM Finetuning" (2024): the factors multiply, unlike in
pre-training where they add. L nats per token, N ``params`` of the base model, D ``tokens`` of
fine-tuning data (or examples, if used throughout).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leadsman.laws.base import Floats
from leadsman.laws.fitting.power_sum import PowerSumLaw
from leadsman.laws.fitting.power_sum_form import Exponent, ShapeValues
from leadsman.methods import Paper


class FinetunePower(PowerSumLaw):
    """Fine-tuning loss of one model as an offset plus a power of the data.

    Columns: ``tokens``.

    >>> import polars as pl
    >>> runs = pl.DataFrame({"tokens": [1e5, 3e5, 1e6, 3e6, 1e7, 3e7]})
    >>> runs = runs.with_columns(loss=1.2 + 40 / pl.col("tokens") ** 0.3)
    >>> fitted = FinetunePower().fit(runs)
    >>> {name: round(value, 2) for name, value in fitted.parameters().items()}
    {'E': 1.2, 'A': 40.0, 'beta': 0.3}
    """

    name = "finetune-power"
    paper = Paper("When Scaling Meets LLM Finetuning: The Effect of Data, Model and Method", 2024)
    inputs = ("tokens",)
    terms = ("E", "A")
    exponents = (Exponent("beta"),)

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log D in the A term; shape (n, 2, 1)."""
        features = np.zeros((len(x["tokens"]), 2, 1))
        features[:, 1, 0] = -np.log(x["tokens"])
        return features


class FinetuneJoint(PowerSumLaw):
    """Fine-tuning loss of several models: data and model size multiply.

    Columns: ``params``, ``tokens``; the runs must vary both.
    """

    name = "finetune-joint"
    paper = FinetunePower.paper
    inputs = ("params", "tokens")
    terms = ("E", "A")
    exponents = (Exponent("alpha"), Exponent("beta"))

    def features(self, x: Mapping[str, Floats], shape: ShapeValues) -> Floats:
        """-log N and -log D, both in the A term; shape (n, 2, 2)."""
        features = np.zeros((len(x["params"]), 2, 2))
        features[:, 1, 0] = -np.log(x["params"])
        features[:, 1, 1] = -np.log(x["tokens"])
        return features
