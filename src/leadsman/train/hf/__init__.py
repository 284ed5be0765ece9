"""To and from Hugging Face: models in its Llama format, runs of its ``Trainer`` in the ledger."""

from leadsman.train.hf.llama import (
    from_hf_state,
    hf_config,
    load_hf,
    save_hf,
    shape_from_config,
    to_hf_state,
)

__all__ = [
    "from_hf_state",
    "hf_config",
    "load_hf",
    "save_hf",
    "shape_from_config",
    "to_hf_state",
]
